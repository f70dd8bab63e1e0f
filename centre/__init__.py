"""The receiving side: one HTTPS service with an SQLite file, and the pages of those who work with it.

`rules/` decides and is pure, `store/` is the SQL, `work/` joins the two, one transaction each, in one thread
(`core.py`, `worker.py`). `intake.py` has the routes for bridges, `console/` the pages, `app.py` wires them,
`commands/` is the command line.
"""
