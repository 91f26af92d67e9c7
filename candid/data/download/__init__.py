"""Stage download: gets, draws or packs the archives of a dataset. Makes data/raw."""
