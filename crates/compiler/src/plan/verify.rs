//! The judge of plans: everything that is needed has a place, at the right time, and nothing that is needed is
//! overwritten.
//!
//! It works on bytes and on the words of the request alone and shares no code with the planners, so that an error of
//! theirs is found.

use super::{Item, Overlap, Plan, PlanError, Request, Slot, TensorIndex};

/// A slot that passed the checks of its own, so that its end does not overflow.
#[derive(Clone, Copy)]
struct Placed {
    item: Item,
    slot: Slot,
}

impl Placed {
    fn end(&self) -> usize {
        self.slot.offset + self.slot.bytes
    }

    fn meets(&self, other: &Self) -> bool {
        let in_time = self.slot.first <= other.slot.last && other.slot.first <= self.slot.last;
        in_time && self.slot.offset < other.end() && other.slot.offset < self.end()
    }
}

impl Plan {
    /// Checks the plan against its request.
    ///
    /// The order is a permutation in which every read follows its write, and accesses to state keep the order of the
    /// file; everything used has an aligned slot of its size inside the arena for as long as it is needed; state lies
    /// in front; parts lie at their place in a whole, which is kept from the first write of any part to the last use of any,
    /// and is complete when it is read; and two other slots share bytes while both are needed only where an [`Overlap`]
    /// rule allows exactly that.
    ///
    /// # Errors
    /// The first fault that is found.
    pub fn verify(&self, request: &Request) -> Result<(), PlanError> {
        request.check()?;
        self.verify_counts(request)?;
        let positions = self.positions(request)?;
        self.verify_order(request, &positions)?;
        let mut placed = self.verify_slots(request, &positions)?;
        self.verify_parts(request, &positions)?;
        let is_part = |item| request.parts.iter().any(|part| item == Item::Tensor(part.tensor));
        placed.retain(|placed| !is_part(placed.item));
        verify_state_first(request, &placed)?;
        self.verify_apart(request, &positions, &placed)?;
        if self.bound_bytes > self.arena_bytes {
            return Err(PlanError::FalseBound { bound_bytes: self.bound_bytes, arena_bytes: self.arena_bytes });
        }
        Ok(())
    }

    fn verify_counts(&self, request: &Request) -> Result<(), PlanError> {
        let counts = [
            ("steps in its order", self.order.len(), request.steps.len()),
            ("tensors", self.slots.len(), request.tensors.len()),
            ("scratch entries", self.scratch.len(), request.steps.len()),
        ];
        match counts.into_iter().find(|(_, found, expected)| found != expected) {
            Some((what, found, expected)) => Err(PlanError::WrongCount { what, found, expected }),
            None => Ok(()),
        }
    }

    /// The position of each step in the order.
    fn positions(&self, request: &Request) -> Result<Vec<usize>, PlanError> {
        let mut positions = vec![usize::MAX; request.steps.len()];
        for (position, &step) in self.order.iter().enumerate() {
            match positions.get_mut(step) {
                Some(free) if *free == usize::MAX => *free = position,
                _ => return Err(PlanError::NotAPermutation { step, position }),
            }
        }
        Ok(positions)
    }

    fn verify_order(&self, request: &Request, positions: &[usize]) -> Result<(), PlanError> {
        let mut accesses: Vec<Vec<(usize, bool)>> = vec![vec![]; request.tensors.len()];
        for (step, used) in request.steps.iter().enumerate() {
            used.reads.iter().for_each(|&t| accesses[t].push((step, false)));
            used.writes.iter().for_each(|&t| accesses[t].push((step, true)));
        }
        for (tensor, accesses) in accesses.iter().enumerate() {
            let state = request.state.contains(&tensor);
            for (index, &(one, one_writes)) in accesses.iter().enumerate() {
                for &(other, other_writes) in &accesses[index + 1..] {
                    let kept = positions[one] < positions[other];
                    let fine = if state {
                        one == other || kept || !(one_writes || other_writes)
                    } else if one_writes {
                        kept
                    } else {
                        !other_writes || (one != other && !kept)
                    };
                    if !fine {
                        return Err(PlanError::OutOfOrder { step: other, tensor });
                    }
                }
            }
        }
        Ok(())
    }

    /// Parts lie where they should, for as long as they are needed, and are written before their wholes are read.
    fn verify_parts(&self, request: &Request, positions: &[usize]) -> Result<(), PlanError> {
        for part in &request.parts {
            let (Some(slot), Some(whole)) = (self.slots[part.tensor], self.slots[part.whole]) else {
                return Err(PlanError::NoSlot { item: Item::Tensor(part.tensor) });
            };
            let expected = whole.offset + part.offset;
            if slot.offset != expected {
                return Err(PlanError::Displaced { tensor: part.tensor, offset: slot.offset, expected });
            }
            if whole.first > slot.first || whole.last < slot.last {
                let item = Item::Tensor(part.whole);
                return Err(PlanError::WrongLifetime { item, first: slot.first, last: slot.last });
            }
            let written = (0..request.steps.len()).filter(|&s| request.steps[s].writes.contains(&part.tensor));
            for writer in written.map(|step| positions[step]) {
                for whole in wholes(request, part.tensor) {
                    let early = |s: &usize| positions[*s] <= writer && request.steps[*s].reads.contains(&whole);
                    if let Some(step) = (0..request.steps.len()).find(early) {
                        return Err(PlanError::OutOfOrder { step, tensor: part.tensor });
                    }
                }
            }
        }
        Ok(())
    }

    /// From when to when each tensor must keep its value.
    fn needed(&self, request: &Request, tensor: TensorIndex, positions: &[usize]) -> Option<(usize, usize)> {
        let end = request.steps.len().saturating_sub(1);
        if request.state.contains(&tensor) {
            return Some((0, end));
        }
        let touching = request.steps.iter().zip(positions);
        let touching =
            touching.filter(|(s, _)| s.reads.contains(&tensor) || s.writes.contains(&tensor)).map(|(_, &p)| p);
        let from_start = request.inputs.contains(&tensor).then_some(0);
        let to_end = request.outputs.contains(&tensor).then_some(end);
        let first = touching.clone().chain(from_start).chain(to_end).min()?;
        let last = touching.chain(from_start).chain(to_end).max()?;
        Some((first, last))
    }

    fn verify_slots(&self, request: &Request, positions: &[usize]) -> Result<Vec<Placed>, PlanError> {
        let mut placed = vec![];
        for (tensor, slot) in self.slots.iter().enumerate() {
            let item = Item::Tensor(tensor);
            let needed = self.needed(request, tensor, positions);
            placed.extend(self.verify_slot(request, item, *slot, request.tensors[tensor], needed)?);
        }
        for (step, slot) in self.scratch.iter().enumerate() {
            let bytes = request.steps[step].scratch_bytes;
            let needed = (bytes > 0).then_some((positions[step], positions[step]));
            placed.extend(self.verify_slot(request, Item::Scratch(step), *slot, bytes, needed)?);
        }
        Ok(placed)
    }

    fn verify_slot(
        &self,
        request: &Request,
        item: Item,
        slot: Option<Slot>,
        expected: usize,
        needed: Option<(usize, usize)>,
    ) -> Result<Option<Placed>, PlanError> {
        let Some(slot) = slot else {
            return if needed.is_some() { Err(PlanError::NoSlot { item }) } else { Ok(None) };
        };
        if slot.bytes != expected {
            return Err(PlanError::WrongBytes { item, expected, found: slot.bytes });
        }
        let is_part = request.parts.iter().any(|part| item == Item::Tensor(part.tensor));
        if !is_part && !slot.offset.is_multiple_of(request.align) {
            return Err(PlanError::Misaligned { item, offset: slot.offset, align: request.align });
        }
        if slot.offset.checked_add(slot.bytes).is_none_or(|end| end > self.arena_bytes) {
            return Err(PlanError::OutsideArena { item, offset: slot.offset, arena_bytes: self.arena_bytes });
        }
        match needed {
            Some((first, last)) if slot.first > first || slot.last < last => {
                Err(PlanError::WrongLifetime { item, first, last })
            }
            _ => Ok(Some(Placed { item, slot })),
        }
    }

    /// Every two slots that meet do so at one step that reads the one for the last time and writes the other, by a
    /// rule.
    fn verify_apart(&self, request: &Request, positions: &[usize], placed: &[Placed]) -> Result<(), PlanError> {
        let mut by_time: Vec<&Placed> = placed.iter().filter(|p| p.slot.bytes > 0).collect();
        by_time.sort_by_key(|p| p.slot.first);
        let mut shared: Vec<Vec<(&Placed, &Placed)>> = vec![vec![]; request.steps.len()];
        for (index, one) in by_time.iter().enumerate() {
            let later = by_time[index + 1..].iter().take_while(|p| p.slot.first <= one.slot.last);
            for other in later.filter(|p| p.meets(one)) {
                let ways = [(one, other), (other, one)];
                let way = ways.into_iter().find_map(|(read, write)| {
                    self.handover(request, positions, read, write).map(|step| (step, *read, *write))
                });
                let Some((step, read, write)) = way else {
                    return Err(PlanError::Clash { one: one.item, other: other.item });
                };
                shared[step].push((read, write));
            }
        }
        for (step, pairs) in shared.iter().enumerate() {
            for (read, write) in pairs {
                if [true, false].iter().all(|&forward| !allowed(request, step, read, write, forward)) {
                    return Err(PlanError::Clash { one: read.item, other: write.item });
                }
            }
            let together = |forward| pairs.iter().all(|(read, write)| allowed(request, step, read, write, forward));
            if !together(true) && !together(false) {
                return Err(PlanError::BothDirections { step });
            }
        }
        Ok(())
    }

    /// The step that reads the one tensor last and writes the other, if that is the only position at which both are
    /// needed.
    fn handover(&self, request: &Request, positions: &[usize], read: &Placed, write: &Placed) -> Option<usize> {
        let (Item::Tensor(from), Item::Tensor(to)) = (read.item, write.item) else { return None };
        let lasting = request.outputs.contains(&from) || [from, to].iter().any(|t| request.state.contains(t));
        let step = *self.order.get(read.slot.last)?;
        let used = &request.steps[step];
        let at = positions[step];
        let tied = request.parts.iter().any(|part| {
            let read_besides = used.reads.contains(&part.tensor) && wholes(request, part.tensor).any(|w| w == from);
            [part.tensor, part.whole].contains(&to) || read_besides
        });
        let one_position = !tied && write.slot.first == at && read.slot.last == at;
        (!lasting && one_position && used.reads.contains(&from) && used.writes.contains(&to)).then_some(step)
    }
}

/// Whether each read of `read` by the step has a rule that allows this geometry when the rows run in this direction.
fn allowed(request: &Request, step: usize, read: &Placed, write: &Placed, forward: bool) -> bool {
    let used = &request.steps[step];
    let is = |placed: &Placed, tensor: TensorIndex| placed.item == Item::Tensor(tensor);
    let mut reads = used.reads.iter().enumerate().filter(|&(_, &t)| is(read, t));
    reads.all(|(position, _)| {
        let mut rules = used.overlap.iter().filter(|r| r.read == position && is(write, used.writes[r.write]));
        rules.any(|rule| match rule.kind {
            Overlap::SameOffset if forward => {
                read.slot.offset == write.slot.offset && write.slot.bytes <= read.slot.bytes
            }
            Overlap::SameOffset => read.slot.offset == write.slot.offset && write.slot.bytes == read.slot.bytes,
            Overlap::RowsForward { lead_bytes } => {
                forward && write.slot.offset.checked_add(lead_bytes).is_some_and(|start| start <= read.slot.offset)
            }
            Overlap::RowsBackward { lead_bytes } => {
                !forward && read.end().checked_add(lead_bytes).is_some_and(|end| end <= write.end())
            }
        })
    })
}

/// The tensors in which `part` lies, from the inside out.
fn wholes(request: &Request, part: TensorIndex) -> impl Iterator<Item = TensorIndex> {
    let whole = move |&inner: &TensorIndex| request.parts.iter().find(|p| p.tensor == inner).map(|p| p.whole);
    std::iter::successors(whole(&part), whole)
}

fn verify_state_first(request: &Request, placed: &[Placed]) -> Result<(), PlanError> {
    let is_state = |p: &&Placed| matches!(p.item, Item::Tensor(t) if request.state.contains(&t));
    for state in placed.iter().filter(is_state) {
        let others = placed.iter().filter(|p| !is_state(p) && p.slot.bytes > 0);
        if let Some(before) = others.min_by_key(|p| p.slot.offset).filter(|p| p.slot.offset < state.end())
            && let Item::Tensor(tensor) = state.item
        {
            return Err(PlanError::StateNotFirst { item: before.item, state: tensor });
        }
    }
    Ok(())
}
