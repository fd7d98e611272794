"""The engine: jobs in, steps run, results out. `intake` and `delivery` are its doors, `runner` its heart."""
