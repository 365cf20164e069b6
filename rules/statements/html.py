"""A statement as one self-contained page: no script, nothing loaded from anywhere, ready for print."""

from collections.abc import Iterator
from datetime import datetime
from html import escape
from string import Template
from typing import Final

from rules.statements.document import StatementDocument, StatementLine, Sums, clock, long_day, short_day

STYLE: Final = """
:root { --ink: #1b2430; --soft: #5c6675; --hair: #d5dae1; color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #eef0f3; color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto, Helvetica,
  Arial, "Noto Sans", sans-serif; font-variant-numeric: lining-nums tabular-nums; }
main { max-width: 1040px; margin: 32px auto; padding: 52px 60px 36px; background: #fff;
  box-shadow: 0 1px 3px #1b243022; }
header { display: flex; justify-content: space-between; align-items: baseline; gap: 32px; padding-bottom: 12px;
  border-bottom: 2px solid var(--ink); overflow-wrap: anywhere; }
h1 { order: 2; margin: 0; font-size: 30px; line-height: 1.1; overflow-wrap: normal; }
h2 { margin: 38px 0 8px; font-size: 17px; break-after: avoid; }
p { margin: 0; }
.company { font-size: 20px; font-weight: 600; }
.parties { display: grid; grid-template-columns: 1fr 1fr; gap: 40px; margin-top: 20px; overflow-wrap: anywhere; }
.payee { font-size: 17px; font-weight: 600; }
.soft, dt, thead th { color: var(--soft); font-weight: 400; }
.note { margin-top: 8px; font-size: 13px; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 22px; margin: 0; align-content: start; }
dd { margin: 0; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 5px 0 5px 16px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--hair);
  overflow-wrap: anywhere; }
th:first-child, td:first-child { padding-left: 0; }
thead th { border-bottom: 2px solid var(--ink); overflow-wrap: normal; }
tbody th { font-weight: 400; }
tfoot th, tfoot td { border-bottom: 0; font-weight: 600; }
.balance tfoot th, .balance tfoot td { padding-top: 9px; border-top: 2px solid var(--ink); font-size: 18px; }
.balance { border-top: 1px solid var(--hair); }
.figure { text-align: right; white-space: nowrap; overflow-wrap: normal; }
.lines { font-size: 13px; }
.lines time { white-space: nowrap; }
.lines time span { color: var(--soft); }
.lines thead th { width: 1%; }
.lines thead th:nth-child(2) { width: 17%; }
.lines thead th:nth-child(3) { width: auto; }
.lines tbody td:nth-child(2) { min-width: 128px; }
.lines tbody td:nth-child(3) { min-width: 150px; }
.lines tbody td:nth-child(4) { min-width: 80px; }
.scroll { overflow-x: auto; }
footer { margin-top: 44px; padding-top: 10px; border-top: 1px solid var(--hair); color: var(--soft); font-size: 12px;
  overflow-wrap: anywhere; }
code { font: 11px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
@media screen and (max-width: 760px) {
  main { margin: 0; padding: 24px 18px; }
  .parties { grid-template-columns: 1fr; gap: 20px; }
}
@page { size: A4; margin: 18mm 16mm 20mm; @bottom-right { content: counter(page) " / " counter(pages);
  font: 8pt system-ui, sans-serif; color: #5c6675; } }
@media print {
  body { background: none; font-size: 10pt; }
  main { max-width: none; margin: 0; padding: 0; box-shadow: none; }
  .lines { font-size: 8pt; line-height: 1.35; }
  th, td { padding-top: 3px; padding-bottom: 3px; }
  h2 { margin-top: 24px; }
  .parties { grid-template-columns: 1fr auto; }
  footer { margin-top: 16px; }
  .lines :is(td, th):not(:first-child) { padding-left: 8px; }
  .lines tbody td:nth-child(2) { min-width: 100px; }
  .lines tbody td:nth-child(3) { min-width: 0; }
  .lines tbody td:nth-child(4) { min-width: 66px; }
  .scroll { overflow: visible; }
  thead { display: table-header-group; }
  tfoot { display: table-row-group; }
  tr { break-inside: avoid; }
}
"""

OPENING: Final = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
<header><h1>Statement</h1><p class="company"><bdi>$company</bdi></p></header>
<div class="parties">
<div><p class="soft">Prepared for</p><p class="payee"><bdi>$payee</bdi></p>$contact</div>
<dl>
<dt>Number</dt><dd><bdi>$number</bdi></dd>
<dt>Period</dt><dd>$period</dd>
<dt>Issued</dt><dd><time datetime="$issued_at">$issued</time></dd>
<dt>Currency</dt><dd>$currency</dd>
<dt>Time zone</dt><dd>$zone</dd>
</dl>
</div>
<section>
<h2>Balance</h2>
<table class="balance">
<tbody>
$terms
</tbody>
<tfoot><tr><th scope="row">$closing on $period_end</th><td class="figure">$currency $closing_amount</td></tr></tfoot>
</table>
<p class="soft note">Earnings and clawbacks were calculated on a gross basis of $currency $gross.</p>
</section>
""")

ADJUSTMENTS: Final = Template("""<section>
<h2>Adjustments</h2>
<table>
<thead><tr><th scope="col">Description</th><th scope="col" class="figure">Amount</th></tr></thead>
<tbody>
$rows
</tbody>
<tfoot><tr><th scope="row">Total</th><td class="figure">$amount</td></tr></tfoot>
</table>
</section>
""")

LINES: Final = """<section>
<h2>Lines</h2>
<div class="scroll">
<table class="lines">
<thead><tr><th scope="col">Date</th><th scope="col">Reference</th><th scope="col">Description</th>\
<th scope="col">Kind</th><th scope="col" class="figure">Basis</th><th scope="col" class="figure">Rate</th>\
<th scope="col" class="figure">Amount</th></tr></thead>
<tbody>
"""

LINES_END: Final = Template("""</tbody>
<tfoot><tr><th scope="row" colspan="4">Total of $count lines</th><td class="figure">$basis</td><td></td>\
<td class="figure">$amount</td></tr></tfoot>
</table>
</div>
</section>
""")

NO_LINES: Final = """<section>
<h2>Lines</h2>
<p class="soft">There are no lines in this period.</p>
</section>
"""

CLOSING: Final = Template("""<footer>
<p>Calculated by run $run, <code>$run_id</code></p>
<p>Digest of all inputs and results of the run: <code>$digest</code></p>
</footer>
</main>
</body>
</html>
""")


def html(document: StatementDocument) -> str:
    """The whole page."""
    return "".join(html_parts(document))


def html_parts(document: StatementDocument) -> Iterator[str]:
    """The page piece by piece, a line at a time, for statements too long to be held in memory."""
    yield _opening(document)
    if document.adjustment_lines:
        yield _adjustments(document)
    sums = Sums()
    for line in document.lines:
        if not sums.lines:
            yield LINES
        sums = sums.plus(line)
        yield _line(document, line)
    if sums.lines:
        basis, amount = document.written(sums.basis), document.written(sums.amount)
        yield _filled(LINES_END, count=f"{sums.lines:,}", basis=basis, amount=amount)
    else:
        yield NO_LINES
    yield _filled(CLOSING, run=str(document.run_number), run_id=document.run_id, digest=document.run_digest)


def _filled(template: Template, **texts: str) -> str:
    """`template` with texts, none of which is markup."""
    return template.substitute({name: escape(text) for name, text in texts.items()})


def _opening(document: StatementDocument) -> str:
    *terms, closing = document.balance
    details = [text for text in (document.payee_external_id, *document.payee_contact) if text]
    texts = {
        "title": document.title,
        "company": document.workspace_name,
        "payee": document.payee_name,
        "number": document.number,
        "period": document.period,
        "period_end": long_day(document.period_end),
        "issued": document.issued,
        "issued_at": _machine(document, document.issued_at),
        "currency": document.currency,
        "zone": document.zone.key,
        "closing": closing.label,
        "closing_amount": document.written(closing.amount),
        "gross": document.written(document.gross_basis),
    }
    return OPENING.substitute(
        {name: escape(text) for name, text in texts.items()},
        style=STYLE,
        contact="".join(f"<p><bdi>{escape(text)}</bdi></p>" for text in details),
        terms="\n".join(_entry(entry.label, document.written(entry.amount)) for entry in terms),
    )


def _adjustments(document: StatementDocument) -> str:
    rows = (_entry(line.description, document.written(line.amount)) for line in document.adjustment_lines)
    return ADJUSTMENTS.substitute(rows="\n".join(rows), amount=document.written(document.adjustments))


def _entry(label: str, amount: str) -> str:
    return f'<tr><th scope="row"><bdi>{escape(label)}</bdi></th><td class="figure">{amount}</td></tr>'


def _line(document: StatementDocument, line: StatementLine) -> str:
    moment = document.local(line.occurred_at)
    day = f"{short_day(moment.date())} <span>{clock(moment)}</span>"
    texts = "".join(f"<td><bdi>{escape(text)}</bdi></td>" for text in (line.reference, line.description, line.kind))
    return (
        f'<tr><td><time datetime="{_machine(document, moment)}">{day}</time></td>{texts}'
        f'<td class="figure">{document.written(line.basis)}</td><td class="figure">{escape(line.rate)}</td>'
        f'<td class="figure">{document.written(line.amount)}</td></tr>\n'
    )


def _machine(document: StatementDocument, moment: datetime) -> str:
    """`2018-10-31T09:30+00:00`."""
    return document.local(moment).isoformat(timespec="minutes")
