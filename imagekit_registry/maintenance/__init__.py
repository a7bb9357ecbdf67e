"""What the commands do: all that there is, what is left over, what is wrong."""
