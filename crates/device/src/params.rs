//! Parameters of ops: structs of fixed-width fields that encode, decode and print themselves.
//!
//! One macro derives all three, so that the packed format, the interpreter and the emitters know no op by name. A
//! struct's bytes are its fields in order, little-endian, without padding. Its `Debug` text is a Rust struct literal,
//! which is what the Rust emitter writes.

use core::fmt::Debug;

/// A value with a fixed number of bytes in the packed format.
pub trait Field: Copy + PartialEq + Debug {
    /// Encoded size in bytes.
    const BYTES: usize;
    /// Writes `BYTES` bytes at the front of `out`; writes nothing where `out` is shorter.
    fn encode(&self, out: &mut [u8]);
    /// Reads a value from the front of `bytes`; `None` where `bytes` is too short or no such value exists.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

macro_rules! number_fields {
    ($($number:ty),*) => {$(
        impl Field for $number {
            const BYTES: usize = size_of::<$number>();
            fn encode(&self, out: &mut [u8]) {
                if let Some(out) = out.first_chunk_mut() {
                    *out = self.to_le_bytes();
                }
            }
            #[inline]
            fn decode(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|&chunk| Self::from_le_bytes(chunk))
            }
        }
    )*};
}
number_fields!(i8, u8, i16, u16, i32, u32, f32);

impl Field for bool {
    const BYTES: usize = 1;
    fn encode(&self, out: &mut [u8]) {
        u8::from(*self).encode(out);
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<T: Field + Default, const N: usize> Field for [T; N] {
    const BYTES: usize = N * T::BYTES;
    fn encode(&self, out: &mut [u8]) {
        for (value, out) in self.iter().zip(out.chunks_mut(T::BYTES)) {
            value.encode(out);
        }
    }
    #[inline]
    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..Self::BYTES)?;
        let mut values = [T::default(); N];
        for (i, value) in values.iter_mut().enumerate() {
            *value = T::decode(bytes.get(i * T::BYTES..)?)?;
        }
        Some(values)
    }
}

/// Declares structs of [`Field`]s, and enums without data as fields of one byte.
#[macro_export]
macro_rules! params {
    () => {};
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Debug)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }

        impl $crate::params::Field for $name {
            const BYTES: usize = 0 $(+ <$type as $crate::params::Field>::BYTES)*;
            fn encode(&self, out: &mut [u8]) {
                let mut at = 0;
                $(
                    if let Some(out) = out.get_mut(at..) {
                        self.$field.encode(out);
                    }
                    at += <$type as $crate::params::Field>::BYTES;
                )*
                let _ = at;
            }
            #[inline]
            fn decode(bytes: &[u8]) -> Option<Self> {
                // One check of the length for all fields.
                let bytes = bytes.get(..Self::BYTES)?;
                let mut at = 0;
                $(
                    let $field = <$type as $crate::params::Field>::decode(bytes.get(at..)?)?;
                    at += <$type as $crate::params::Field>::BYTES;
                )*
                let _ = at;
                Some(Self { $($field,)* })
            }
        }
        $crate::params! { $($rest)* }
    };
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$case_meta:meta])* $case:ident = $value:literal,)* }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$case_meta])* $case = $value,)* }

        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self {
                    $(Self::$case => f.write_str(concat!(stringify!($name), "::", stringify!($case))),)*
                }
            }
        }

        impl $crate::params::Field for $name {
            const BYTES: usize = 1;
            fn encode(&self, out: &mut [u8]) {
                (*self as u8).encode(out);
            }
            fn decode(bytes: &[u8]) -> Option<Self> {
                match bytes.first()? {
                    $($value => Some(Self::$case),)*
                    _ => None,
                }
            }
        }
        $crate::params! { $($rest)* }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    params! {
        /// A struct with every kind of field.
        pub struct Sample {
            /// A number.
            pub a: i32,
            /// A flag.
            pub b: bool,
            /// An array.
            pub c: [u16; 3],
            /// A case.
            pub d: Case,
        }
        /// Two cases.
        pub enum Case {
            /// The one.
            One = 1,
            /// The other.
            Two = 2,
        }
    }

    #[test]
    fn fields_survive_encoding() {
        let sample = Sample { a: -5, b: true, c: [1, 2, 65535], d: Case::Two };
        let mut bytes = [0; Sample::BYTES];
        sample.encode(&mut bytes);
        assert_eq!(Sample::decode(&bytes), Some(sample));
        assert_eq!(bytes, [251, 255, 255, 255, 1, 1, 0, 2, 0, 255, 255, 2]);
    }

    #[test]
    fn what_no_value_has_is_refused() {
        assert_eq!(bool::decode(&[2]), None);
        assert_eq!(Case::decode(&[0]), None);
        assert_eq!(Sample::decode(&[0; Sample::BYTES - 1]), None);
    }
}
