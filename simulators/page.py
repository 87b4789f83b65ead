"""How does a load look to people? One page with charts: no script, nothing from elsewhere, light, dark, on paper."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final

from simulators.charts import Line, Stretch, chart
from simulators.load import LoadReport
from simulators.samples import Sample

STYLE: Final = """
:root{color-scheme:light dark;--ink:#16202b;--soft:#5b6876;--paper:#fff;--card:#f5f7f9;--rule:#d9dfe5;
--k0:#0b6bcb;--k1:#c2410c;--k2:#15803d;--k3:#7e22ce;--bad:#b91c1c;--good:#15803d}
@media(prefers-color-scheme:dark){:root{--ink:#e7edf3;--soft:#9aa7b4;--paper:#10161d;--card:#182029;--rule:#2b3642;
--k0:#5aa9f8;--k1:#fb923c;--k2:#4ade80;--k3:#c084fc;--bad:#f87171;--good:#4ade80}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 3rem}h1{font-size:1.6rem;margin:0 0 .2rem}
h2{font-size:1.05rem;margin:2rem 0 .4rem}p{margin:.2rem 0}.soft,.note{color:var(--soft)}.note{font-size:.9rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;margin:1.2rem 0}
.card{background:var(--card);border-radius:.5rem;padding:.6rem .8rem}.card b{display:block;font-size:1.3rem;
font-variant-numeric:tabular-nums}.card span{color:var(--soft);font-size:.85rem}
.bad{color:var(--bad)}.good{color:var(--good)}
figure{margin:0;background:var(--card);border-radius:.5rem;padding:.6rem;break-inside:avoid}
svg{display:block;width:100%;height:auto}.grid{stroke:var(--rule)}.stage{stroke:var(--soft);stroke-dasharray:2 3}
.tick,.unit,.name{fill:var(--soft);font-size:12px}.name{font-weight:600}
@media(max-width:640px){.tick,.unit,.name{font-size:18px}}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}.k0{stroke:var(--k0)}.k1{stroke:var(--k1);stroke-dasharray:6 3}
.k2{stroke:var(--k2);stroke-dasharray:2 2}.k3{stroke:var(--k3);stroke-dasharray:9 3 2 3}.dot{stroke-width:1}
figcaption{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;font-size:.85rem;color:var(--soft);padding:.3rem .3rem 0}
figcaption svg{display:inline;width:28px;height:8px;vertical-align:middle;margin-right:.35rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid var(--rule);white-space:nowrap}
th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:600;font-size:.85rem}
@media print{:root{--ink:#000;--soft:#444;--paper:#fff;--card:#fff;--rule:#ccc;--k0:#000;--k1:#000;--k2:#000;--k3:#000}
main{max-width:none;padding:0}figure,.card{border:1px solid #ccc}@page{margin:15mm}}
"""
PERCENTILES: Final = ("p50", "p90", "p99")

Of = Callable[[Sample], float | None]


def page_of(report: LoadReport) -> str:
    """The report as one HTML file."""
    title = f"Load: {report.profile}, {report.run.pumps:,} pumps"
    body = "".join((_head(title, report), _cards(report), _charts(report), _latencies(report), _losses(report)))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def _head(title: str, report: LoadReport) -> str:
    how = {"pump": "a connection each", "site": "a connection a site"}.get(
        report.connections, f"{report.connections} connections for all"
    )
    return (
        f"<h1>{escape(title)}</h1><p class=soft>{escape(report.began_at)} · a reading every {report.interval_s:g} s · "
        f"{how} · {report.took_s:.0f} s</p><p class=note>Simulated pumps; not for clinical use.</p>"
    )


def _cards(report: LoadReport) -> str:
    tally, took_s = report.run.tally, max(report.took_s, 1e-3)
    lost = report.losses.unaccounted + report.losses.let_go
    cards = (
        ("messages a second, mean", f"{tally['messages'] / took_s:,.0f}", ""),
        ("lost", f"{lost:,}", "bad" if lost else "good"),
        ("without receipt at the end", f"{report.losses.held:,}", "bad" if report.losses.held else "good"),
        ("disconnects", f"{tally['disconnects']:,}", ""),
        ("PUBACK, p99", _ms(report.run.settle_latency_ms, "p99"), ""),
        ("receipt, p99", _ms(report.run.receipt_latency_ms, "p99"), ""),
        ("of one processor, simulator", f"{report.cpu_share:.0%}", ""),
        ("memory at most, simulator", f"{report.peak_memory_mb:,.0f} MB", ""),
    )
    drawn = (f'<div class=card><b class="{kind}">{value}</b><span>{name}</span></div>' for name, value, kind in cards)
    return f"<div class=cards>{''.join(drawn)}</div>"


def _charts(report: LoadReport) -> str:
    rates: tuple[tuple[str, Of], ...] = (
        ("measured", lambda each: each.measured),
        ("sent", lambda each: each.sent),
        ("settled by the broker", lambda each: each.settled),
    )
    drawn = _figure("Messages", "a second", report, rates)
    for title, of in (("From sending to PUBACK", "settle_ms"), ("From sending to receipt", "receipt_ms")):
        drawn += _figure(title, "ms", report, [(name, _percentile(of, name)) for name in PERCENTILES])
    drawn += _figure("Readings without a receipt", "readings", report, [("held by the pumps", lambda each: each.held)])
    links: list[tuple[str, Of]] = [
        ("up", lambda each: each.connected),
        ("lost since the point before", lambda each: each.disconnects),
    ]
    drawn += _figure("Connections", "connections", report, links)
    return drawn + _figure("The simulator itself", "of one processor", report, [("used", lambda each: each.processor)])


def _figure(title: str, unit: str, report: LoadReport, lines: Sequence[tuple[str, Of]]) -> str:
    at_s = [sample.at_s for sample in report.samples]
    stretches: list[Stretch] = []
    for sample in report.samples:
        if not stretches or stretches[-1].name != sample.stage:
            stretches.append(Stretch(sample.stage, sample.at_s if stretches else 0.0))
    kinds = [Line(name, kind, [of(sample) for sample in report.samples]) for kind, (name, of) in enumerate(lines)]
    stroke = '<svg viewBox="0 0 28 8"><polyline class="line k{}" points="0,4 28,4"/></svg>'
    legend = "".join(f"<span>{stroke.format(line.kind)}{escape(line.name)}</span>" for line in kinds)
    return (
        f"<h2>{escape(title)}</h2><figure>{chart(title, unit, at_s, kinds, stretches)}"
        f"<figcaption>{legend}</figcaption></figure>"
    )


def _percentile(of: str, name: str) -> Of:
    def value(sample: Sample) -> float | None:
        found: Mapping[str, float] = getattr(sample, of)
        return found.get(name)

    return value


def _latencies(report: LoadReport) -> str:
    rows = (
        ("sent → PUBACK", report.run.settle_latency_ms),
        ("sent → stored (receipt)", report.run.receipt_latency_ms),
        (f"sent → alert ({report.way.stalls} stalls)", report.way.to_alert_ms),
        (f"sent → webhook ({report.way.stalls} stalls)", report.way.to_webhook_ms),
    )
    cells = "".join(
        f"<tr><td>{name}</td>{''.join(f'<td>{_ms(found, each)}</td>' for each in (*PERCENTILES, 'max'))}</tr>"
        for name, found in rows
    )
    return (
        "<h2>Latency of a reading</h2><div class=wide><table><thead><tr><th>from, to</th><th>p50</th><th>p90</th>"
        f"<th>p99</th><th>max</th></tr></thead><tbody>{cells}</tbody></table></div>"
    )


def _losses(report: LoadReport) -> str:
    losses, tally = report.losses, report.run.tally
    rows = (
        ("measured (readings and events)", losses.measured),
        ("with receipt", losses.receipted),
        ("still held by pumps", losses.held),
        ("let go of: memory full, or given up", losses.let_go),
        ("unaccounted for", losses.unaccounted),
        ("messages sent", tally["sent"]),
        ("of these sent again", tally["resent"]),
        ("connections lost", tally["disconnects"]),
    )
    cells = "".join(f"<tr><td>{name}</td><td>{count:,}</td></tr>" for name, count in rows)
    return f"<h2>What became of it</h2><div class=wide><table><tbody>{cells}</tbody></table></div>"


def _ms(found: Mapping[str, float], name: str) -> str:
    if name not in found:
        return "–"
    value = found[name]
    return f"{value / 1000:,.1f} s" if value >= 10_000 else f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"
