//! A network without steps, inputs or outputs: an image of it is the harness alone.
#![no_std]

/// The network.
pub mod empty {
    use rasbora_device::network::{Network, Position, Progress};

    /// Its arena, which is empty.
    #[repr(align(16))]
    pub struct Arena([u8; 0]);

    impl Arena {
        /// The arena.
        #[expect(clippy::new_without_default, reason = "emitted arenas have this constructor alone")]
        pub const fn new() -> Self {
            Self([])
        }
    }

    /// The network in its arena.
    pub struct Model<'a>(&'a mut Arena);

    impl<'a> Network<'a> for Model<'a> {
        const ARENA_BYTES: usize = 0;
        const STEPS: usize = 0;
        const INPUTS: usize = 0;
        const OUTPUTS: usize = 0;
        type Arena = Arena;

        fn arena() -> Arena {
            Arena::new()
        }
        fn new(arena: &'a mut Arena) -> Self {
            Self(arena)
        }
        fn input_bytes(&mut self, _index: usize) -> &mut [u8] {
            &mut []
        }
        fn output_bytes(&self, _index: usize) -> &[u8] {
            &[]
        }
        fn arena_bytes(&self) -> &[u8] {
            &self.0.0
        }
        fn run(&mut self) {}
        fn step(&mut self, _position: &mut Position, _budget: u32) -> Progress {
            Progress::Done
        }
        fn run_kernel(&mut self, _index: usize) {}
    }
}
