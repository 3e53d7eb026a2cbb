//! What a plugin asked for when it was configured, checked against what there is.

use crate::model::{BackendName, Hook, Input, LiveFact, ProxyFact};

use super::{contract::Role, error::LoadFault, v0_1};

/// More than any sensible plugin asks for; each input costs something in every call.
const INPUTS_LIMIT: usize = 256;

const FEATURES: [&str; 3] = [LOADS, ALWAYS_ASSIGNED, REPEATABLE];
const LOADS: &str = "loads";
const ALWAYS_ASSIGNED: &str = "always-assigned";
const REPEATABLE: &str = "repeatable";

/// A plugin's needs, all of which can be met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Needs {
    inputs: [Vec<Input>; Hook::ALL.len()],
    /// Which hooks were named at all, if only with no inputs.
    named: [bool; Hook::ALL.len()],
    pub backends: Vec<BackendName>,
    pub loads: bool,
    pub always_assigned: bool,
    pub repeatable: bool,
}

impl Needs {
    /// `roles` are those that the component exports, `backends` those that exist.
    pub fn check(
        asked: &v0_1::Needs,
        roles: &[Role],
        backends: &[BackendName],
    ) -> Result<Self, LoadFault> {
        let mut needs = Self::default();
        for v0_1::HookInputs { hook, inputs } in &asked.inputs {
            let hook = find_hook(hook, roles)?;
            needs.named[index(hook)] = true;
            let slot = &mut needs.inputs[index(hook)];
            // A hook may be named twice; its inputs simply go on.
            for input in inputs {
                slot.push(check_input(hook, input)?);
            }
            if slot.len() > INPUTS_LIMIT {
                return Err(LoadFault::TooManyInputs {
                    hook,
                    found: slot.len(),
                    limit: INPUTS_LIMIT,
                });
            }
        }
        for name in &asked.backends {
            needs.backends.push(find_backend(name, backends)?);
        }
        for feature in &asked.features {
            match feature.as_str() {
                LOADS => needs.loads = true,
                ALWAYS_ASSIGNED => needs.always_assigned = true,
                REPEATABLE => needs.repeatable = true,
                _ => {
                    return Err(LoadFault::UnknownFeature {
                        feature: feature.clone(),
                        offered: &FEATURES,
                    });
                }
            }
        }
        Ok(needs)
    }

    pub fn inputs(&self, hook: Hook) -> &[Input] {
        &self.inputs[index(hook)]
    }

    /// Whether the plugin said anything about a hook.
    pub fn names(&self, hook: Hook) -> bool {
        self.named[index(hook)]
    }
}

fn index(hook: Hook) -> usize {
    match hook {
        Hook::OnConnection => 0,
        Hook::OnRequest => 1,
        Hook::OnResponse => 2,
        Hook::Pick => 3,
        Hook::Lookup => 4,
        Hook::Assigned => 5,
    }
}

/// The role whose interface a hook belongs to.
fn role_of(hook: Hook) -> Role {
    match hook {
        Hook::OnConnection => Role::ConnectionFilter,
        Hook::OnRequest => Role::RequestFilter,
        Hook::OnResponse => Role::ResponseFilter,
        Hook::Pick => Role::Balancer,
        Hook::Lookup | Hook::Assigned => Role::Persistence,
    }
}

fn find_hook(name: &str, roles: &[Role]) -> Result<Hook, LoadFault> {
    let mut offered = Hook::ALL.to_vec();
    offered.retain(|hook| roles.contains(&role_of(*hook)));
    offered
        .iter()
        .copied()
        .find(|hook| hook.as_str() == name)
        .ok_or_else(|| LoadFault::UnknownHook {
            hook: name.to_owned(),
            offered: offered.iter().map(|hook| hook.as_str()).collect(),
        })
}

fn check_input(hook: Hook, text: &str) -> Result<Input, LoadFault> {
    let input: Input = text.parse().map_err(|_| LoadFault::UnknownInput {
        hook,
        input: text.to_owned(),
        offered: offered_inputs(hook),
    })?;
    if input.is_of_response() && !hook.sees_response() {
        return Err(LoadFault::InputTooEarly {
            hook,
            input: text.to_owned(),
        });
    }
    if !input.is_of_connection() && !hook.sees_request() {
        return Err(LoadFault::InputOfRequest {
            hook,
            input: text.to_owned(),
            offered: offered_inputs(hook),
        });
    }
    Ok(input)
}

/// The names of inputs as the contract writes them, for error messages.
fn offered_inputs(hook: Hook) -> String {
    let name = || "NAME".to_owned();
    let mut offered = vec![
        Input::Method,
        Input::Path,
        Input::RawPath,
        Input::Query,
        Input::QueryParam(name()),
        Input::Host,
        Input::Scheme,
        Input::Version,
        Input::ClientAddress,
        Input::ClientPort,
        Input::ListenerAddress,
        Input::ListenerPort,
        Input::TlsSni,
        Input::TlsAlpn,
        Input::TlsVersion,
        Input::TlsCipher,
        Input::TlsClientVerified,
        Input::TlsClientSubject,
        Input::TlsClientSan,
        Input::TlsClientFingerprint,
        Input::Header(name()),
        Input::HeaderAll(name()),
        Input::Cookie(name()),
        Input::Var(name()),
        Input::FrontendName,
        Input::BackendName,
        Input::RequestId,
        Input::Proxy(ProxyFact::Authority),
    ];
    offered.retain(|input| hook.sees_request() || input.is_of_connection());
    if hook.sees_response() {
        offered.extend([
            Input::Status,
            Input::ResponseHeader(name()),
            Input::ResponseHeaderAll(name()),
            Input::ResponseCookie(name()),
        ]);
    }
    let mut names: Vec<String> = offered.iter().map(ToString::to_string).collect();
    names.push("first-bytes(N)".to_owned());
    names.extend(LiveFact::offered());
    names.join(", ")
}

fn find_backend(name: &str, backends: &[BackendName]) -> Result<BackendName, LoadFault> {
    backends
        .iter()
        .find(|known| known.as_str() == name)
        .cloned()
        .ok_or_else(|| LoadFault::UnknownBackend {
            backend: name.to_owned(),
            known: backends.to_vec(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(inputs: &[(&str, &[&str])], backends: &[&str], features: &[&str]) -> v0_1::Needs {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        v0_1::Needs {
            inputs: inputs
                .iter()
                .map(|(hook, inputs)| v0_1::HookInputs {
                    hook: (*hook).to_owned(),
                    inputs: owned(inputs),
                })
                .collect(),
            backends: owned(backends),
            features: owned(features),
        }
    }

    fn check(asked: &v0_1::Needs) -> Result<Needs, String> {
        let roles = [Role::RequestFilter, Role::ResponseFilter];
        let backends = [BackendName::new("static"), BackendName::new("dynamic")];
        Needs::check(asked, &roles, &backends).map_err(|fault| fault.to_string())
    }

    #[test]
    fn inputs_are_kept_in_order_per_hook() {
        let asked = asked(
            &[
                ("on-request", &["path", "header(X-Api)"]),
                ("on-response", &["status"]),
            ],
            &["dynamic", "static"],
            &[],
        );
        let needs = check(&asked).unwrap();
        assert_eq!(
            needs.inputs(Hook::OnRequest),
            [Input::Path, Input::Header("x-api".to_owned())]
        );
        assert_eq!(needs.inputs(Hook::OnResponse), [Input::Status]);
        assert_eq!(needs.backends[0].as_str(), "dynamic");
    }

    #[test]
    fn what_is_not_on_offer_is_named_with_what_is() {
        let refused = |asked| check(&asked).unwrap_err();
        assert_eq!(
            refused(asked(&[("pick", &[])], &[], &[])),
            "it wants inputs for a hook `pick`; hooks that it has: `on-request`, `on-response`"
        );
        let input = refused(asked(&[("on-request", &["mood"])], &[], &[]));
        assert!(input.contains("`mood`"), "{input}");
        assert!(input.contains("query-param(NAME)"), "{input}");
        assert!(!input.contains("response-header"), "{input}");
        assert_eq!(
            refused(asked(&[("on-request", &["status"])], &[], &[])),
            "on-request wants the input `status`, and there is no response yet when it is called"
        );
        assert_eq!(
            refused(asked(&[], &["statik"], &[])),
            "it routes to the backend `statik`, which doesn't exist; backends: `static`, `dynamic`"
        );
        assert_eq!(
            refused(asked(&[], &[], &["telepathy"])),
            "it asks for the feature `telepathy`; on offer: `loads`, `always-assigned`, \
             `repeatable`"
        );
    }

    #[test]
    fn a_plugin_that_wants_too_much_is_refused() {
        let many = vec!["path"; INPUTS_LIMIT + 1];
        let error = check(&asked(&[("on-request", &many)], &[], &[])).unwrap_err();
        assert!(error.contains("257 inputs"), "{error}");
    }
}
