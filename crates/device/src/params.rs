//! Parameters of ops: structs of fixed-width fields that encode, decode and print themselves.
//!
//! One macro derives all three, so that the packed format, the interpreter and the emitters know no op by name. A
//! struct's bytes are those of C's struct of the same fields on a little-endian machine, the gaps zero: so a packed
//! program's parameters are read where they lie ([`view`]). Its `Debug` text is a Rust struct literal, which is what the
//! Rust emitter writes.

use core::fmt::Debug;

/// A value with a fixed number of bytes in the packed format.
pub trait Field: Copy + PartialEq + Debug {
    /// Encoded size in bytes.
    const BYTES: usize;
    /// Writes `BYTES` bytes at the front of `out`; writes nothing where `out` is shorter.
    fn encode(&self, out: &mut [u8]);
    /// Reads a value from the front of `bytes`; `None` where `bytes` is too short or no such value exists.
    fn decode(bytes: &[u8]) -> Option<Self>;
    /// Whether the bytes, `BYTES` of them, are a value.
    #[inline(always)]
    fn sound(bytes: &[u8]) -> bool {
        let _ = bytes;
        true
    }
}

/// A struct whose bytes in memory are those of its encoding.
///
/// # Safety
/// Implementors are `repr(C)` structs that [`Field::encode`] writes as they lie in memory of a little-endian machine, and
/// that [`Field::sound`] bytes are a value of.
pub unsafe trait Plain: Field {}

#[cfg(target_endian = "big")]
compile_error!("packed programs are little-endian, and read where they lie");

/// The value that lies in `bytes`, where it has their length, is aligned, and they are one.
#[inline(always)]
pub fn view<T: Plain>(bytes: &[u8]) -> Option<&T> {
    let pointer = bytes.as_ptr().cast::<T>();
    let fits = bytes.len() == size_of::<T>() && pointer.is_aligned() && T::sound(bytes);
    // SAFETY: the pointer is aligned, to as many bytes as a `T` has, which are one by `sound`.
    fits.then(|| unsafe { &*pointer })
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
    #[inline(always)]
    fn sound(bytes: &[u8]) -> bool {
        matches!(bytes, [0 | 1, ..])
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
    #[inline(always)]
    fn sound(bytes: &[u8]) -> bool {
        bytes.chunks_exact(T::BYTES).all(T::sound)
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
        #[repr(C)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }

        impl $crate::params::Field for $name {
            const BYTES: usize = size_of::<Self>();
            fn encode(&self, out: &mut [u8]) {
                $(
                    if let Some(out) = out.get_mut(::core::mem::offset_of!(Self, $field)..) {
                        self.$field.encode(out);
                    }
                )*
            }
            fn decode(bytes: &[u8]) -> Option<Self> {
                // One check of the length for all fields.
                let bytes = bytes.get(..size_of::<Self>())?;
                $(
                    let $field =
                        <$type as $crate::params::Field>::decode(bytes.get(::core::mem::offset_of!(Self, $field)..)?)?;
                )*
                Some(Self { $($field,)* })
            }
            #[inline(always)]
            fn sound(bytes: &[u8]) -> bool {
                true $(&& bytes
                    .get(::core::mem::offset_of!(Self, $field)..)
                    .is_some_and(<$type as $crate::params::Field>::sound))*
            }
        }

        // SAFETY: `repr(C)`, encoded field by field where each lies; every field is sound where its bytes are.
        unsafe impl $crate::params::Plain for $name {}
        $crate::params! { $($rest)* }
    };
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$case_meta:meta])* $case:ident = $value:literal,)* }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
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
            #[inline(always)]
            fn sound(bytes: &[u8]) -> bool {
                bytes.first().is_some_and(|byte| [$($value),*].contains(byte))
            }
        }
        $crate::params! { $($rest)* }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Aligned;

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
        assert_eq!(bytes, [251, 255, 255, 255, 1, 0, 1, 0, 2, 0, 255, 255, 2, 0, 0, 0]);
    }

    #[test]
    fn values_are_read_where_they_lie() {
        let sample = Sample { a: -5, b: true, c: [1, 2, 65535], d: Case::Two };
        let mut bytes = Aligned([0; Sample::BYTES + 1]);
        sample.encode(&mut bytes.0);
        let (whole, shifted) = (&bytes.0[..Sample::BYTES], &bytes.0[1..]);
        assert_eq!(view(whole), Some(&sample));
        assert_eq!(view::<Sample>(shifted), None);
        assert_eq!(view::<Sample>(&bytes.0), None);
        for (place, wrong) in [(4, 2), (12, 3), (12, 0)] {
            let mut bytes = Aligned(bytes.0);
            bytes.0[place] = wrong;
            assert_eq!(view::<Sample>(&bytes.0[..Sample::BYTES]), None);
        }
    }

    #[test]
    fn what_no_value_has_is_refused() {
        assert_eq!(bool::decode(&[2]), None);
        assert_eq!(Case::decode(&[0]), None);
        assert_eq!(Sample::decode(&[0; Sample::BYTES - 1]), None);
    }
}
