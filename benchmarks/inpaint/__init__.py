"""How well `inpaint_local` removes text, and at what cost: `make bench-inpaint`."""
