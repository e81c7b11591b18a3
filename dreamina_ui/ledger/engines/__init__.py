"""What differs between database systems: a module with a `Database` for each, and the queue in front of the writer."""
