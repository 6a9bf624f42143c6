//! Numbering plans: whether digits that begin with a country's calling code can be a number of that country, or an
//! international number that has lost its plus.

/// For each calling code, from libphonenumber's metadata: the lengths of mobile numbers and of fixed lines, and of
/// those that begin with the digits of the calling code. A test compares it with the metadata.
const PLANS: &str = include_str!("plans.txt");

/// The lengths of a country's national numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct NumberingPlan {
    mobile: &'static str,
    fixed: &'static str,
    mobile_like_abroad: &'static str,
    fixed_like_abroad: &'static str,
}

impl NumberingPlan {
    /// The plan of a calling code; `None` where there is none.
    pub(super) fn of(calling_code: u32) -> Option<Self> {
        let calling_code = calling_code.to_string();
        let line = PLANS.lines().find(|line| line.split('\t').next() == Some(&calling_code))?;
        let mut columns = line.split('\t').skip(1);
        Some(Self {
            mobile: columns.next()?,
            fixed: columns.next()?,
            mobile_like_abroad: columns.next()?,
            fixed_like_abroad: columns.next()?,
        })
    }

    /// Whether mobile numbers have this many digits.
    pub(super) fn has_mobile(self, digits: usize) -> bool {
        has(self.mobile, digits)
    }

    /// Whether mobile numbers or fixed lines have this many digits.
    pub(super) fn has(self, digits: usize) -> bool {
        has(self.mobile, digits) || has(self.fixed, digits)
    }

    /// Whether mobile numbers of this many digits begin with the calling code's own.
    pub(super) fn has_mobile_like_abroad(self, digits: usize) -> bool {
        has(self.mobile_like_abroad, digits)
    }

    /// Whether fixed lines of this many digits begin with the calling code's own.
    pub(super) fn has_fixed_like_abroad(self, digits: usize) -> bool {
        has(self.fixed_like_abroad, digits)
    }
}

fn has(lengths: &str, digits: usize) -> bool {
    lengths.split(',').any(|length| length.parse() == Ok(digits))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use phonenumber::metadata::DATABASE;
    use regex_syntax::hir::{Class, Hir, HirKind};

    use super::*;

    type Lengths = BTreeSet<usize>;

    /// Where one may stand in a text of digits after a pattern, from where one may stand before it, if the text begins
    /// with a prefix.
    fn after(pattern: &Hir, before: &Lengths, prefix: &str) -> Lengths {
        let may = |at: usize, allowed: &dyn Fn(u8) -> bool| prefix.as_bytes().get(at).is_none_or(|byte| allowed(*byte));
        match pattern.kind() {
            HirKind::Literal(literal) => literal.0.iter().fold(before.clone(), |from, digit| {
                from.into_iter().filter(|at| may(*at, &|byte| byte == *digit)).map(|at| at + 1).collect()
            }),
            HirKind::Class(Class::Unicode(class)) => {
                let allowed =
                    |byte| class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&char::from(byte)));
                before.iter().filter(|at| may(**at, &allowed)).map(|at| at + 1).collect()
            }
            HirKind::Repetition(repetition) => {
                let mut times = before.clone();
                let mut any = if repetition.min == 0 { before.clone() } else { Lengths::new() };
                for time in 1..=repetition.max.unwrap() {
                    times = after(&repetition.sub, &times, prefix);
                    if time >= repetition.min {
                        any.extend(&times);
                    }
                }
                any
            }
            HirKind::Capture(capture) => after(&capture.sub, before, prefix),
            HirKind::Concat(parts) => parts.iter().fold(before.clone(), |from, part| after(part, &from, prefix)),
            HirKind::Alternation(ways) => ways.iter().flat_map(|way| after(way, before, prefix)).collect(),
            HirKind::Empty => before.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_plans_are_libphonenumber_s() {
        let mut plans = BTreeMap::<u16, [Lengths; 4]>::new();
        for region in phonelib::countries().iter().filter_map(|country| DATABASE.by_id(country.code)) {
            let (kinds, code) = (region.descriptors(), region.country_code().to_string());
            let plan = plans.entry(region.country_code()).or_default();
            let columns =
                [(kinds.mobile(), ""), (kinds.fixed_line(), ""), (kinds.mobile(), &code), (kinds.fixed_line(), &code)];
            for (lengths, (kind, prefix)) in plan.iter_mut().zip(columns) {
                let Some(kind) = kind else { continue };
                let pattern: String = kind.national_number().as_str().split_whitespace().collect();
                let pattern = regex_syntax::parse(&pattern).unwrap();
                lengths.extend(after(&pattern, &Lengths::from([0]), prefix).into_iter().filter(|length| {
                    let possible = kind.possible_length();
                    *length >= prefix.len()
                        && (possible.is_empty() || possible.contains(&u16::try_from(*length).unwrap()))
                }));
            }
        }
        let column = |lengths: &Lengths| match lengths.iter().map(ToString::to_string).collect::<Vec<_>>() {
            none if none.is_empty() => "-".to_owned(),
            some => some.join(","),
        };
        let lines =
            plans.iter().map(|(code, columns)| format!("{code}\t{}\n", columns.each_ref().map(column).join("\t")));
        assert_eq!(PLANS, lines.collect::<String>());
    }

    #[test]
    fn a_plan_says_which_lengths_it_has() {
        let india = NumberingPlan::of(91).unwrap();
        assert!(india.has_mobile(10) && india.has(10) && india.has_mobile_like_abroad(10) && !india.has_mobile(8));
        assert!(NumberingPlan::of(49).unwrap().has_fixed_like_abroad(11) && NumberingPlan::of(999).is_none());
    }
}
