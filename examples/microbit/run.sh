#!/bin/sh
# run.sh: compiles the digits model to a crate, builds firmware around it for the micro:bit, and runs that.
set -eu
cd "$(dirname "$0")"
out=${OUT:-out}
"${RASBORA:-rasbora}" compile ../digits/digits.tflite --target microbit --emit rust -o model > /dev/null
"${CARGO:-cargo}" build --quiet --release --target thumbv6m-none-eabi --target-dir "$out/target"
exec qemu-system-arm -M microbit -display none -serial none -monitor none \
    -semihosting-config enable=on,target=native -kernel "$out/target/thumbv6m-none-eabi/release/microbit-digits"
