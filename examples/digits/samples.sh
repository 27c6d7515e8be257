#!/bin/sh
# Prints the test digits as a C header: what the examples in C read instead of a sensor.
cd "$(dirname "$0")/test"
echo "#define SAMPLES $(ls | grep -c csv)"
echo "static const float samples[SAMPLES][64] = {"
for digit in *.csv; do
    echo "    {$(paste -sd, "$digit")},"
done
echo "};"
