"""Files of payouts, as plain values: what is to be paid goes out, what was really paid comes back; pure.

confirmation_shapes.py  the files that are known, as data: a generic one, and what PayPal and Wise export
confirmation_files.py   a file or a list of records as confirmed payments, or what is wrong with each row
export_files.py         what is to be paid, as CSV or as records; what it writes, confirmation_files reads
"""
