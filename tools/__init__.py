"""What a person or CI runs beside the pipeline: `python -m tools.NAME --help` explains each."""
