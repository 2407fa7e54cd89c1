"""Studies, one a file: atlas/<family>/<slug>.py."""
