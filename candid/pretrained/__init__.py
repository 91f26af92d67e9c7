"""The model that comes with the project: packed small, measured again, described."""
