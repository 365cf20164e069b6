"""A payee's statement as a document that can be filed: pure rendering, no database. Begin with document.py.

document.py     what a statement says, the equation it must satisfy, and how amounts and dates are written
html.py         one self-contained page, ready for print
pdf.py          an archival PDF, the same bytes for the same statement; its layout is statement.typ
table.py        every line as CSV that no spreadsheet runs
"""
