//! "Did you mean": the nearest of the names that would fit.

/// The nearest of the candidates, when one is near enough to be meant.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    // Longer than any name that fits, and the distance costs the product of both lengths.
    if word.len() > 64 {
        return None;
    }
    // As in `retry` and `retries`.
    let plural = word.strip_suffix('y').map(|stem| format!("{stem}ies"));
    let distance = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        match plural.as_deref() == Some(candidate.as_str()) {
            true => 1,
            false => strsim::damerau_levenshtein(&word, &candidate),
        }
    };
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .filter(|candidate| candidate.len() <= 64)
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `` `a`, `b` or `c` ``.
pub(crate) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let words = ["image", "docker", "dependencies", "depends_on", "retries"];
        let near = |word| did_you_mean(word, words.iter().copied());
        assert_eq!(near("imge"), Some("image"));
        assert_eq!(near("dokcer"), Some("docker"));
        assert_eq!(near("dependancies"), Some("dependencies"));
        assert_eq!(near("retry"), Some("retries"));
        assert_eq!(near("x"), None);
        assert_eq!(near(&"x".repeat(10_000)), None);
    }
}
