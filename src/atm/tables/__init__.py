"""Tables of test data: read from CSV, JSON and text files, kept as table files that engines map into memory.

Start reading with `table_file.py`, which defines the format and reads it; `table_writer.py` writes it. `row_readers.py`
reads rows from the files of users, `table_cache.py` keeps the table of each file in the data directory, by the digest
of its content, and `spec_tables.py` opens those of a spec, whose files
`spec_files.py` finds. It may import what is below `models`.
"""
