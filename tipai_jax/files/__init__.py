"""How bytes reach the disk and are found there: whole files or none, locks on folders, folders of a model hub."""
