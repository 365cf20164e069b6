"""Revenue from files: templates that know exports, previews, and imports that never double a row.

tables.py       a CSV, XLS or XLSX file as a header and a stream of rows of text
catalogue.py    the templates: which exports are known, and what their columns mean
templates.py    what a template says; which one fits a header
mapping.py      which column of the file becomes which field of a revenue row
survey.py       how the file writes dates and amounts, learned from all of its rows
conversion.py   one row of text as a revenue record, or what is wrong with it, or why it is left out
storage.py      the file itself, in the database, so that any worker can go on with it
services.py     upload, change the mapping, confirm, cancel
analysis.py     the body of the job that makes the preview
importing.py    the body of the job that imports, chunk by chunk
"""
