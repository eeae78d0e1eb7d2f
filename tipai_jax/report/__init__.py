"""What a person reads of an evaluated run: tables, one HTML page, sheets of image pairs."""
