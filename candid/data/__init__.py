"""From archives to faces: catalogue, download, decoding, readers, fingerprints of known sets."""
