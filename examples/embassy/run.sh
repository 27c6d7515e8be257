#!/bin/sh
# run.sh: builds Embassy, two tasks and the digits model for a Cortex-M4, and runs them on the emulated board.
set -eu
cd "$(dirname "$0")"
out=${OUT:-out}
"${RASBORA:-rasbora}" compile ../digits/digits.tflite --target cortex-m4 --emit rust -o model > /dev/null
"${CARGO:-cargo}" build --quiet --release --target thumbv7em-none-eabihf --target-dir "$out/target"
exec qemu-system-arm -M mps2-an386 -display none -serial none -monitor none \
    -semihosting-config enable=on,target=native -kernel "$out/target/thumbv7em-none-eabihf/release/embassy-digits"
