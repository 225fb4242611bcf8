"""From a graph to a loop program."""
