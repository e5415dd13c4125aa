"""docs/benchmarks.md out of measurements: the table, notes on what is not met, plots, raw figures, commands."""

import json
import os
import re
import statistics

import lines
import plots

_HERE = os.path.dirname(os.path.realpath(__file__))
_TITLES = {"probe": "The machine", "millrace": "Millrace", "kafka": "Apache Kafka", "nats": "NATS JetStream",
           "micro": "Parts alone (micro benchmarks)"}
_SIZES = (100, 1024, 10240)
_PERCENTILES = ("p50", "p90", "p99", "p999", "max")


def parse_notes(text):
    """{line key: body} of notes.md: one section `## key [key ...]` for one or more lines of the table."""
    notes = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        for key in heading.split():
            notes[key] = body.strip()
    return notes


def read_notes(name):
    """Those of a file beside this one."""
    with open(os.path.join(_HERE, name), encoding="utf-8") as file:
        return parse_notes(file.read())


def write(out, measurements, about, duration_s, render):
    """The page, and in a folder beside it the figures as JSON and whatever `render` puts there."""
    folder = os.path.splitext(out)[0]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "figures.json"), "w", encoding="utf-8") as file:
        json.dump({"about": about, "duration_s": duration_s, "measurements": json.loads(measurements.to_json())},
                  file, indent=1)
        file.write("\n")
    text = render(measurements, about, duration_s, folder)
    with open(out, "w", encoding="utf-8") as file:
        file.write(text)


def number(value):
    """As many digits as one reads: 4 significant ones, none behind the point above a thousand."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _ratio_text(outcome):
    sense = "\u2265" if outcome.demand.sense == lines.AT_LEAST else "\u2264"
    unit = outcome.demand.unit
    target = f"{sense} {outcome.demand.limit:g}{unit if unit in ('x', '%') else ' ' + unit if unit else ''}"
    if outcome.ratio is None:
        return target, "not measured"
    if outcome.demand.unit != "x":
        return target, f"{outcome.ratio:.4g}"
    return target, f"{outcome.ratio:.3g} ({outcome.median_ratio:.3g})"


def table(results):
    rows = ["| What | Millrace | Against | Target | Ratio (of medians) | |", "|---|---|---|---|---|---|"]
    for result in results:
        for i, outcome in enumerate(result.outcomes):
            target, ratio = _ratio_text(outcome)
            beside = "... for information" if outcome.demand.for_information else "... or"
            first = (result.line.text, result.ours) if i == 0 else (beside, "")
            verdict = f"**{result.verdict}**" if i == 0 else ""
            rows.append(f"| {first[0]} | {first[1]} | {outcome.demand.against} | {target} | {ratio} | {verdict} |")
    return "\n".join(rows)


def where_the_time_goes(results, notes):
    out = []
    for result in results:
        if result.verdict == "met":
            continue
        out.append(f"### {result.line.text}, against {result.outcomes[0].demand.against}\n")
        if result.verdict == "not measured":
            out.append("\n".join(f"- {outcome.reason}" for outcome in result.outcomes) + "\n")
        else:
            out.append(notes.get(result.line.key, "No profile of this was made yet.") + "\n")
    return "\n".join(out) if out else "All lines that were measured are met.\n"


def raw_tables(measurements, titles=None):
    """All figures, by subject; `titles`: {subject: heading}."""
    out = []
    for subject, title in (titles or _TITLES).items():
        names = [name for name in measurements.names() if name.split(".", 1)[0] == subject]
        out.append(f"### {title}\n")
        if not names:
            out.append(f"Not measured: {measurements.why_missing(subject)}.\n")
            continue
        out.append("| Figure | Median | Least | Most | n |\n|---|---|---|---|---|")
        for name in names:
            values = measurements.values(name)
            out.append(f"| `{name}` | {number(statistics.median(values))} | {number(min(values))} | "
                       f"{number(max(values))} | {len(values)} |")
        out.append("")
    return "\n".join(out)


def make_plots(measurements):
    """{file name: SVG text} of those that have data."""
    def best(name, pick):
        return pick(name) if measurements.has(name) else None
    subjects = {"Millrace (durable)": "millrace", "Kafka (page cache)": "kafka", "NATS (page cache)": "nats"}
    made = {}
    for what in ("produce", "consume"):
        made[f"{what}.svg"] = plots.bars(
            f"{what.capitalize()}: throughput by record size", "MiB/s",
            ["100 B", "1 KiB", "10 KiB"],
            {title: [best(f"{subject}.{what}.{size}.mib_per_s", measurements.most) for size in _SIZES]
             for title, subject in subjects.items()})
    for key, title in (("rate", "5,000 records/s of 1 KiB, open loop: until acknowledged"),
                       ("e2e", "One 100 B record at a time: end to end")):
        made[f"latency_{key}.svg"] = plots.bars(
            title, "us", list(_PERCENTILES),
            {name: [best(f"{subject}.{key}.{p}_us", measurements.least) for p in _PERCENTILES]
             for name, subject in list(subjects.items())[:2]}, logarithmic=True)
    return {name: text for name, text in made.items() if text}


def about_table(machine, duration_s):
    return ("| | |\n|---|---|\n" + "\n".join(f"| {what} | {value} |" for what, value in machine)
            + f"\n| the run took | {duration_s / 60:.1f} minutes |\n")


def counts(results):
    count = {verdict: sum(r.verdict == verdict for r in results) for verdict in ("met", "not met", "not measured")}
    return f"{count['met']} lines met, {count['not met']} not met, {count['not measured']} not measured."


def commands(measurements):
    return "\n".join(f"- `{name}`: `{command}`" for name, command in sorted(measurements.commands.items())) + "\n"


def render(measurements, machine, notes, plot_folder, duration_s):
    results = lines.judge_all(measurements)
    plot_names = make_plots(measurements)
    out = [
        "# Benchmarks\n",
        "Made by `tools/bench/run.sh`; do not edit. Each line compares figures of one run on one machine: machines differ "
        "by a factor, so absolute figures mean little elsewhere, and ratios much. Everything is run in rounds, "
        "probes of the machine, Millrace and the peers in turn; of the rounds, the best counts on every side (most "
        "throughput, least time), and the ratio of the medians stands beside it in brackets. Millrace acknowledges "
        "from the disk (`durable`) unless a line says `replicated`; Kafka and NATS acknowledge from the page cache unless a line says "
        "otherwise. Kafka's clients live in one warm JVM; its producer is the ProducerPerformance that it ships, and beside it, "
        "for information, a leaner one that makes no payload. What was not measured says so. The quorum of controllers has a page of "
        "its own: [benchmarks_quorum.md](benchmarks_quorum.md).\n",
        about_table(machine, duration_s),
        counts(results) + "\n",
        table(results) + "\n",
    ]
    if plot_names:
        out.append("## Pictures\n")
        out.append("\n".join(f"![{name[:-4].replace('_', ' ')}]({plot_folder}/{name})" for name in plot_names) + "\n")
    out += ["## Where the time goes, for what is not met\n", where_the_time_goes(results, notes),
            "## Raw figures\n",
            "Names say subject, what, size in bytes and unit; `n` rounds. CPU is per 10^9 bytes of payload.\n",
            raw_tables(measurements), "## Commands\n",
            "`tools/bench/run.sh` runs all of this; the single programs, by hand:\n",
            commands(measurements)]
    return "\n".join(out)
