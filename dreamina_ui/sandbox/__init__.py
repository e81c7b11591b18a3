"""A local stand-in for the Model API, spoken to over real HTTP."""
