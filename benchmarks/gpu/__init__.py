"""What gpu_runs.py is made of: packing faces and runs for a bare machine, running there, reading back."""
