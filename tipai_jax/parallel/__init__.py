"""Many devices and many processes: the mesh with its two placements, and how processes find each other."""
