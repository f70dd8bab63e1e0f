"""The receiving side: one HTTPS service with an SQLite file, and the operator's page.

Rules are pure (`incidents.py`, `registry.py`), the store is synchronous (`store/`), `service.py`
joins the two, `intake.py` and `console/` are the routes, `app.py` wires and is the command line.
"""
