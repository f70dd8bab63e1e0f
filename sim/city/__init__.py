"""A country's worth of buttons on one centre, in virtual time: `amr-sim city`."""
