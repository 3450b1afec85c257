"""Reports in a real browser, Debian's Chromium without a window: are they seen, complete and silent?"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from evaluations import METRICS, failed_object, made_up_objects, made_up_results, made_up_run
from PIL import Image
from test_report import Page

from viewfusion.evaluation.report import write_report
from viewfusion.evaluation.results import read_results, write_results

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Path:
    return made_up_run(tmp_path_factory.mktemp("one") / "run")


class Browser:
    """Chromium without a window, a new user of it each time, whose proxy is a port where nobody listens.

    ``asked`` is what pages asked the network for, of the browser's own log: where a page is the initiator.
    What the browser asks of its own accord (the time, updates) has none, and gets nowhere either.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []

    def open(self, page: Path, *options: str) -> str:
        """What it prints for ``page``."""
        program = shutil.which("chromium")
        assert program, "these tests want Debian's chromium"
        log, home = (self.folder / f"{secrets.token_hex(4)}{end}" for end in (".json", ""))
        quiet = ("background-networking", "component-update", "sync", "quic", "gpu", "default-apps")
        command = [program, "--headless", "--no-sandbox", "--no-first-run", "--hide-scrollbars"]
        command += [f"--disable-{name}" for name in quiet]
        command += ["--proxy-server=http://127.0.0.1:9", "--proxy-bypass-list=<-loopback>"]
        command += [f"--log-net-log={log}", f"--user-data-dir={home}", *options, page.as_uri()]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        self.asked += requests_of_pages(json.loads(log.read_text()))
        return ended.stdout

    def see(self, page: Path, width: int, height: int) -> np.ndarray:
        """(H, W, 3) uint8 of ``page`` in a window of that size."""
        shot = self.folder / "shot.png"
        self.open(page, f"--window-size={width},{height}", f"--screenshot={shot}")
        with Image.open(shot) as image:
            return np.array(image.convert("RGB"))


def requests_of_pages(log: dict) -> list[str]:
    """Addresses that a page, and not the browser itself or its user, asked the network for."""
    start = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [event["params"] for event in log["events"] if event["type"] == start and "params" in event]
    return [
        each["url"]
        for each in asked
        if each.get("url", "").startswith(("http", "ws")) and each.get("initiator") != "not an origin"
    ]


@pytest.fixture
def browser(tmp_path) -> Browser:
    return Browser(tmp_path)


def test_the_log_tells_what_a_page_asks_for(browser, tmp_path):
    (tmp_path / "page.html").write_text("<img src='http://example.org/x.png'>")
    browser.open(tmp_path / "page.html", "--dump-dom")
    assert browser.asked == ["http://example.org/x.png"]


def test_a_browser_shows_the_page_and_asks_nobody(browser, one, tmp_path):
    write_report(tmp_path / "report.html", [one])
    shown = Page(browser.open(tmp_path / "report.html", "--dump-dom"))
    mean = read_results(one)["summary"]["psnr"]["mean"]
    assert f"{mean:.2f}" in shown.text
    assert len(shown.all("button")) == 1 + len(METRICS), "our script ran, and made buttons of a table's heads"
    assert browser.asked == []


def test_a_browser_draws_charts_and_pictures(browser, one, tmp_path):
    """The colour of the marks is there, and so are the photos' own colours."""
    write_report(tmp_path / "report.html", [one])
    pixels = browser.see(tmp_path / "report.html", 1280, 4200).astype(int)
    blue = np.abs(pixels - (0x00, 0x72, 0xB2)).max(-1) < 8
    assert blue.sum() > 2000
    pictures_of = pixels[2800:]
    colourful = np.ptp(pictures_of, axis=-1) > 80
    assert colourful.sum() > 5000
    assert (pixels[:, :4] == 255).all(), "nothing runs over the margin"


def test_a_telephone_needs_no_sideways_scrolling(browser, one, tmp_path):
    write_report(tmp_path / "report.html", [one])
    text = (tmp_path / "report.html").read_text()
    script = "document.title = document.documentElement.scrollWidth + ' of ' + innerWidth"
    # Its own policy would not let this run.
    probed = re.sub("<meta http-equiv.*?>", "", text).replace("</body>", f"<script>{script}</script></body>")
    (tmp_path / "probed.html").write_text(probed)
    shown = browser.open(tmp_path / "probed.html", "--dump-dom", "--window-size=500,900")
    wide, window = map(int, re.search(r"<title>(\d+) of (\d+)</title>", shown).groups())
    assert wide <= window <= 500


def test_a_browser_runs_no_untrusted_words(browser, tmp_path):
    """Were the names run, they would change the title."""
    name = '"><img src=x onerror="document.title=1"><svg onload="document.title=2">'
    results = made_up_results([*made_up_objects(0, names=(name,)), failed_object("lost", f"</p>{name}")])
    write_results(tmp_path, results)
    write_report(tmp_path / "report.html", [tmp_path])
    shown = Page(browser.open(tmp_path / "report.html", "--dump-dom"))
    assert "".join(shown.words).strip().startswith("viewfusion with zero123-nano on made-up")
    assert name in shown.text
    assert browser.asked == []


def test_the_page_prints(browser, one, tmp_path):
    write_report(tmp_path / "report.html", [one])
    browser.open(tmp_path / "report.html", f"--print-to-pdf={tmp_path / 'report.pdf'}")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 12
