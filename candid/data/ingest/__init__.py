"""Stage ingest: from archives to one array and one table. Makes data/faces.npy, data/faces.csv and more."""
