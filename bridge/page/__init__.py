"""The protected person's page: on 127.0.0.1 alone, for one person, and not to be told from a gadget's."""
