//! The list of all routes of the server, and the check that no two owners claim one path.

use poem::http::Method;

/// A route as it is answered, with its owner (`billwerk`, `hooks`, `docs`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub method: Method,
    /// `/api/Preauth/{id}/Cancel`; a last segment `*` stands for any rest.
    pub template: String,
    /// Whether the fixed segments are answered in any letter case.
    pub any_case: bool,
    pub owner: &'static str,
}

/// All routes of the server.
#[derive(Clone, Debug, Default)]
pub struct Paths(pub Vec<Path>);

impl Paths {
    /// Adds a route that is answered in its own spelling only.
    pub fn add(&mut self, owner: &'static str, method: Method, template: &str) {
        self.0.push(Path { method, template: template.to_owned(), any_case: false, owner });
    }

    pub fn extend(&mut self, paths: impl IntoIterator<Item = Path>) {
        self.0.extend(paths);
    }

    /// Pairs of routes that answer the same request, as sentences. Owners share no path at all, since a path alone decides
    /// who answers; one owner may have a fixed segment beside a parameter, where the fixed one wins.
    pub fn clashes(&self) -> Vec<String> {
        let mut clashes = Vec::new();
        for (at, one) in self.0.iter().enumerate() {
            for other in &self.0[at + 1..] {
                let same_owner = one.owner == other.owner;
                if overlap(one, other, same_owner) && (!same_owner || one.method == other.method) {
                    clashes.push(format!(
                        "{} {} ({}) and {} {} ({})",
                        one.method, one.template, one.owner, other.method, other.template, other.owner
                    ));
                }
            }
        }
        clashes
    }
}

/// Whether a request path can match both templates; `strictly`: whether they are the same but for parameter names.
fn overlap(one: &Path, other: &Path, strictly: bool) -> bool {
    let (mut left, mut right) = (segments(&one.template), segments(&other.template));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some("*"), Some("*")) => return true,
            (Some("*"), Some(_)) | (Some(_), Some("*")) => return !strictly,
            (None, Some(_)) | (Some(_), None) => return false,
            (Some(a), Some(b)) => {
                let same = match (is_parameter(a), is_parameter(b)) {
                    (true, true) => true,
                    (true, false) | (false, true) => !strictly,
                    (false, false) if one.any_case || other.any_case => a.eq_ignore_ascii_case(b),
                    (false, false) => a == b,
                };
                if !same {
                    return false;
                }
            }
        }
    }
}

fn segments(template: &str) -> impl Iterator<Item = &str> {
    template.split('/').filter(|segment| !segment.is_empty())
}

pub(super) fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clashes_are_found() {
        let rows = [
            ("a", "/api/x/{id}", false, "b", "/api/x/{other}", true),
            ("a", "/api/x/{id}", false, "b", "/api/x/fixed", true),
            ("a", "/api/x/{id}", false, "a", "/api/x/fixed", false),
            ("a", "/api/x/{id}", false, "a", "/api/x/{other}", true),
            ("a", "/Payment/{id}", false, "b", "/payment/{id}", false),
            ("a", "/Payment/{id}", true, "b", "/payment/{id}", true),
            ("a", "/payment", false, "b", "/payments", false),
            ("a", "/hooks/{c}/*", false, "b", "/hooks/a/b/c", true),
            ("a", "/hooks/{c}/*", false, "b", "/hooks/a", false),
            ("a", "/x/", false, "b", "/x", true),
        ];
        for (owner, one, any_case, other_owner, other, clash) in rows {
            let mut paths = Paths::default();
            let template = one.to_owned();
            paths.extend([Path { method: Method::GET, template, any_case, owner }]);
            paths.add(other_owner, Method::GET, other);
            assert_eq!(!paths.clashes().is_empty(), clash, "{one} {other}");
        }
    }

    #[test]
    fn methods_separate_the_routes_of_one_owner_only() {
        let mut paths = Paths::default();
        paths.add("a", Method::GET, "/x");
        paths.add("a", Method::POST, "/x");
        assert!(paths.clashes().is_empty());
        paths.add("b", Method::PUT, "/x");
        assert_eq!(paths.clashes().len(), 2);
    }
}
