#!/bin/sh
echo "Hello, $NAME, from a container: user $(id -un), host $(hostname), process $$"
for file; do
  echo "-- $file"
  cat "$file"
done
