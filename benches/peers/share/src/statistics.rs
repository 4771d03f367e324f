//! What many values say together.

/// The value that so large a share of them are within, 0 to 1; `None` of none.
pub(crate) fn share(values: &[f64], share: f64) -> Option<f64> {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let at = share * values.len().saturating_sub(1) as f64;
    let (low, high) = (*values.get(at.floor() as usize)?, *values.get(at.ceil() as usize)?);
    Some(low + (high - low) * at.fract())
}

pub(crate) fn median(values: &[f64]) -> Option<f64> {
    share(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_lies_between_the_values_around_it() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[4.0, f64::NAN, 1.0]), Some(2.5));
        assert_eq!(share(&[1.0, 2.0, 3.0], 0.95), Some(2.9));
    }
}
