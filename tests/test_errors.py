"""The one error: whatever a name holds, it stays one line that commands no terminal."""

from __future__ import annotations

import pytest

from viewfusion.errors import ViewFusionError


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("a.png: no such file", "a.png: no such file"),
        ("Stühle/椅子 😀.png: is a folder", "Stühle/椅子 😀.png: is a folder"),
        ("two\nlines\r.png", "two\\nlines\\r.png"),
        ("\x1b[2Jcleared\x07\x9b31m", "\\x1b[2Jcleared\\x07\\x9b31m"),
        ("gnp.\u202egpj.exe\u2066\u2028", "gnp.\\u202egpj.exe\\u2066\\u2028"),
        ("no UTF-8: \udcff\udcfe.png", "no UTF-8: \\udcff\\udcfe.png"),
    ],
)
def test_messages_are_one_printable_line(message, shown):
    assert str(ViewFusionError(message)) == shown
    # As errors are handed on, with a name in front.
    assert str(ViewFusionError(f"x: {ViewFusionError(message)}")) == f"x: {shown}"
