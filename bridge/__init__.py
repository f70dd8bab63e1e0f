"""The phone side: hears a press, keeps it on disk, takes it to the centre, brings the receipt back."""
