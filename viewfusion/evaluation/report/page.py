"""The page of a report: folders of evaluations go in, one HTML file that needs nothing else comes out.

The file asks for nothing: style, script, charts and pictures are inside, and its own Content Security Policy
forbids a browser to fetch anything or to run anything else. Every text of a run is untrusted, and escaped by
the template; only our own drawings are put in as they are.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viewfusion.errors import ViewFusionError, printable
from viewfusion.outputs.files import write_bytes

from ..comparison import Comparison, compare_runs
from ..runs import leaves, read_runs
from .charts import most_rows, object_chart, spin_chart
from .gallery import MAX_SHOWN_RUNS, gallery, ranked, ranking_metric
from .spins import spin_curves
from .svg import Element, add_mark, canvas, to_text
from .tables import MAX_ROWS, note_rows, object_table, score_rows
from .words import checkpoint_words, comparable, count, heading, published_words, unit_of

_HERE = Path(__file__).parent
_MOST_FAILURES = 200


def write_report(path: str | Path, folders: Sequence[str | Path]) -> None:
    """Write a report of the evaluations in ``folders``, the first being what others are compared with.

    Runs must be of one protocol. Objects that some run did not score are left out, and the page says so.

    Raises:
        ViewFusionError: a folder has no results, protocols differ, Jinja2 is missing, or ``path`` cannot be
            written.
    """
    found = compare_runs(read_runs([Path(folder) for folder in folders]), common=True)
    write_bytes(Path(path), _render(_content(found)).encode("utf-8", "backslashreplace"))


def _render(content: dict[str, Any]) -> str:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise ViewFusionError(
            "a report wants Jinja2, which is not installed; pip install 'viewfusion[evaluation]'"
        ) from None
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["heading"] = heading
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    own = {"style": _inline(style), "script": _inline(script)}
    hashes = {"style_hash": _policy_hash(style), "script_hash": _policy_hash(script)}
    return environment.get_template("page.html.j2").render(**content, **own, **hashes)


def _inline(text: str) -> Any:
    """Our own text, as it is."""
    from markupsafe import Markup

    return Markup(text)


def _policy_hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _drawn(drawing: Element | None) -> Any:
    return None if drawing is None else _inline(to_text(drawing))


def _content(found: Comparison) -> dict[str, Any]:
    """Everything that the template shows."""
    first = found.runs[0].results
    published = first["protocol"]["settings"].get("published") or []
    ranking = ranking_metric(found.metrics)
    notes, more_notes = note_rows(found)
    titles, objects = object_table(found, ranking) if ranking else ([], [])
    settings = {key: value for key, value in first["protocol"]["settings"].items() if key != "published"}
    return {
        "title": _title(found),
        "alone": len(found.runs) == 1,
        "protocol": {**first["protocol"], "about": " ".join(first["protocol"]["about"].split())},
        "settings": [(key, _setting(value)) for key, value in leaves(settings)],
        "runs": [_run(found, place) for place in range(len(found.runs))],
        "facts": _facts(found),
        "notices": _notices(found),
        "rows": score_rows(found, published),
        "level": f"{_level(found):.0%}".replace("%", " %"),
        "published": [
            {**each, "comparable": comparable(each, first), "words": published_words(each, first)}
            for each in published
        ],
        "metrics": found.metrics,
        "ranking": found.metrics[ranking] if ranking else None,
        "object_charts": _object_charts(found),
        "spin_charts": _spin_charts(found),
        "groups": gallery(found, ranking) if ranking else [],
        "ranks": len(ranked(found, ranking)) if ranking else 0,
        "most_runs": MAX_SHOWN_RUNS,
        "notes": {"rows": notes, "hidden": more_notes},
        "drawn": _drawn,
        "setting": _setting,
        "unit_of": unit_of,
        "failures": _failures(found),
        "table": {
            "titles": titles,
            "rows": objects,
            "hidden": max(0, len(found.objects) - MAX_ROWS),
        },
    }


def _title(found: Comparison) -> str:
    data = found.runs[0].results["data"]["name"]
    if len(found.runs) == 1:
        system = found.runs[0].results["system"]
        names = dict.fromkeys(filter(None, (system["name"], system["variant"])))
        using = f" with {system['checkpoint']['name']}" if system["checkpoint"] else ""
        return f"{', '.join(names)}{using} on {data}"
    return f"{len(found.runs)} systems on {data}"


def _level(found: Comparison) -> float:
    return max((entry["level"] for entry in found.summaries[0].values()), default=0.95)


def _run(found: Comparison, place: int) -> dict[str, Any]:
    """What was measured, on what, by what."""
    run = found.runs[place]
    results, system = run.results, run.results["system"]
    checkpoint, data = system["checkpoint"] or {}, results["data"]
    failed = sum(each["status"] == "failed" for each in results["objects"])
    rows = [
        ("System", ", ".join(dict.fromkeys(filter(None, (system["name"], system["variant"]))))),
        ("Checkpoint", checkpoint_words(system)),
        ("Checkpoint's SHA-256", checkpoint.get("sha256") or "unknown"),
        ("Data", f"{data['name']}, layout {data['layout']}, {count(data['objects'], 'object')}"),
        ("SHA-256 of the data", data["sha256"] or "unknown"),
        ("Objects", f"{len(run.scored)} scored, {failed} failed"),
        ("Versions", _versions(results)),
    ]
    command = results.get("command")
    return {
        "label": run.label,
        "rows": rows,
        "config": [(key, _setting(value)) for key, value in leaves(system.get("config") or {})],
        "command": shlex.join(command) if command else "",
        "mark": _drawn(_legend_mark(place)),
    }


def _legend_mark(style: int) -> Element:
    root = canvas(14, 14, "mark of the run", "key")
    add_mark(root, 7, 7, style)
    return root


def _versions(results: dict[str, Any]) -> str:
    others = results.get("versions") or {}
    versions = {"viewfusion": results["viewfusion"], **{key: str(value) for key, value in others.items()}}
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _facts(found: Comparison) -> list[tuple[str, str]]:
    results = found.runs[0].results
    scored, known = len(found.objects), len(results["objects"])
    entries = [found.runs[0].scored[name] for name in found.objects]
    values = sum(len(each["images"]) + len(each["pairs"]) for each in entries)
    facts = [
        ("Protocol", results["protocol"]["name"]),
        ("Objects", f"{scored} of {known}" if scored < known else str(scored)),
        ("Views and pairs", str(values)),
    ]
    if len(found.runs) == 1:
        facts.append(("Checkpoint", checkpoint_words(results["system"])))
    else:
        facts.append(("Baseline", found.runs[0].label))
    return facts


def _notices(found: Comparison) -> list[str]:
    """What a reader must know before believing a number."""
    notices = []
    for run in found.runs:
        failed = len(run.results["objects"]) - len(run.scored)
        whose = "" if len(found.runs) == 1 else f" of {run.label}"
        if failed:
            lost = f"{count(failed, 'object')}{whose} failed and {'is' if failed == 1 else 'are'} in no mean"
            notices.append(f"{lost}; see Failed for why.")
        evaluated, there = len(run.results["objects"]), run.results["data"]["objects"]
        if evaluated != there:
            notices.append(f"{evaluated} of the {count(there, 'object')} of the data{whose} were evaluated.")
    if len(found.runs) > 1 and found.left_out:
        notices.append(
            f"Everything here is of the {count(len(found.objects), 'object')} that every run scored; "
            f"{count(len(found.left_out), 'object')} could not be compared."
        )
    for run in found.runs:
        whose = "" if len(found.runs) == 1 else f" of {run.label}"
        for name, why in (run.results.get("unmeasured") or {}).items():
            notices.append(f"{name}{whose} was not measured: {why}.")
    notices += found.notes
    if len(found.objects) < 5:
        few = count(len(found.objects), "object")
        notices.append(f"Of {few}, intervals say little about other objects.")
    return notices


def _object_charts(found: Comparison) -> dict[str, Any]:
    """A chart for each metric, and what was left out of them."""
    labels, scored = [run.label for run in found.runs], [run.scored for run in found.runs]
    charts = []
    for name, metric in found.metrics.items():
        rows = [(each, [run[each]["scores"].get(name) for run in scored]) for each in ranked(found, name)]
        entries = [summary.get(name) for summary in found.summaries]
        means = [
            (each["mean"], each["low"], each["high"]) if each and each["objects"] else None
            for each in entries
        ]
        if rows:
            charts.append({"metric": metric, "drawing": _drawn(object_chart(metric, labels, rows, means))})
    most = most_rows(len(labels))
    return {"charts": charts, "most": most if len(found.objects) > most else 0}


def _spin_charts(found: Comparison) -> list[dict[str, Any]]:
    charts = []
    for name, metric in found.metrics.items():
        if metric["of"] == "object":
            continue
        runs = [(run.label, [run.scored[each] for each in found.objects]) for run in found.runs]
        curves, by_azimuth = spin_curves(name, metric["of"], runs)
        if curves:
            charts.append(
                {
                    "metric": metric,
                    "drawing": _drawn(spin_chart(metric, curves, by_azimuth)),
                    "by_azimuth": by_azimuth,
                    "sectors": any(curve.dots for curve in curves),
                }
            )
    return charts


def _failures(found: Comparison) -> dict[str, Any]:
    """Objects that failed, and those that some run did not have, with what is known of why."""
    rows = [
        (each["name"], run.label, each["error"][:500])
        for run in found.runs
        for each in run.results["objects"]
        if each["status"] == "failed"
    ]
    for name, why in found.left_out.items():
        if "not in " in why:
            rows.append((name, why, "left out of the comparison"))
    return {"rows": rows[:_MOST_FAILURES], "hidden": max(0, len(rows) - _MOST_FAILURES)}


def _setting(value: Any) -> str:
    """As one would write it in the protocol's file."""
    if isinstance(value, list):
        return ", ".join(map(_setting, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_setting(each)}" for key, each in value.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
