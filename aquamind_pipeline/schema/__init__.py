"""What a table definition is made of: kinds of columns and tables, inputs of generators, rules, and the registry."""
