//! Scores of many inputs: the share of right classes, and the area under the receiver's operating curve.

/// The share of inputs, in per cent, whose largest result is that of their class; the first of equals counts.
pub fn top1(results: &[Vec<f32>], classes: &[u32]) -> f64 {
    let right = results.iter().zip(classes).filter(|(results, class)| largest(results) == Some(**class as usize));
    100.0 * right.count() as f64 / results.len().max(1) as f64
}

/// The index of the largest value, the first of equals.
fn largest(values: &[f32]) -> Option<usize> {
    let first = |best: Option<(usize, f32)>, (index, &value): (usize, &f32)| match best {
        Some((_, other)) if other >= value => best,
        _ => Some((index, value)),
    };
    values.iter().enumerate().fold(None, first).map(|(index, _)| index)
}

/// The probability that a positive scores more than a negative, equals counted half; none without both.
pub fn area_under_curve(scored: &[(f64, bool)]) -> Option<f64> {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = sorted.iter().filter(|(_, positive)| *positive).count();
    let negatives = sorted.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let (mut below, mut doubled) = (0, 0u64);
    for equals in sorted.chunk_by(|a, b| a.0 == b.0) {
        let here = equals.iter().filter(|(_, positive)| *positive).count();
        let others = equals.len() - here;
        doubled += (here * (2 * below + others)) as u64;
        below += others;
    }
    Some(doubled as f64 / (2 * positives * negatives) as f64)
}

/// The mean over classes of the area for that class against all others; none where a class has no input, or all.
pub fn macro_area_under_curve(results: &[Vec<f32>], classes: &[u32]) -> Option<f64> {
    let count = results.first().map_or(0, Vec::len);
    let area = |class: usize| {
        let scored = results.iter().zip(classes).map(|(results, &own)| {
            let total: f64 = results.iter().map(|&value| f64::from(value)).sum();
            results.get(class).map(|&value| (f64::from(value) / total, own as usize == class))
        });
        area_under_curve(&scored.collect::<Option<Vec<_>>>()?)
    };
    let areas = (0..count).map(area).collect::<Option<Vec<f64>>>()?;
    Some(areas.iter().sum::<f64>() / count.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_is_the_class() {
        let results = [vec![0.1, 0.9], vec![0.5, 0.5], vec![0.2, 0.8]];
        assert_eq!(top1(&results, &[1, 0, 0]), 200.0 / 3.0);
    }

    /// The values are scikit-learn 1.7's `roc_auc_score` of the same lists.
    #[test]
    fn areas_are_those_of_scikit_learn() {
        let area = |scores: &[f64], labels: &[u8]| {
            let scored: Vec<_> = scores.iter().zip(labels).map(|(&score, &label)| (score, label == 1)).collect();
            area_under_curve(&scored)
        };
        assert_eq!(area(&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1]), Some(0.75));
        let scores = [0.1, 0.4, 0.35, 0.8, 0.35, 0.35, 0.9, 0.9, 0.2, 0.1];
        let ties = area(&scores, &[0, 0, 1, 1, 0, 1, 1, 0, 1, 0]).unwrap();
        assert!((ties - 0.62).abs() < 1e-12, "{ties}");
        assert_eq!(area(&[1.0, 1.0, 1.0], &[0, 1, 1]), Some(0.5));
        assert_eq!(area(&[1.0, 2.0], &[1, 1]), None);
    }
}
