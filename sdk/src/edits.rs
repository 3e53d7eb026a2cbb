//! Changes to a request or a response. The proxy checks each one before it is made.

use crate::contract::imports::weir::plugin::types::{Edit, Header};

/// Changes to the request, made in this order. Empty costs nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestEdits(pub(crate) Vec<Edit>);

/// Changes to the response, made in this order. Empty costs nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseEdits(pub(crate) Vec<Edit>);

macro_rules! common_edits {
    ($edits:ident) => {
        impl $edits {
            /// No changes.
            pub const fn none() -> Self {
                Self(Vec::new())
            }

            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }

            /// Replaces all fields of that name by one.
            pub fn set_header(&mut self, name: &str, value: &str) -> &mut Self {
                self.push(Edit::SetHeader(header(name, value)))
            }

            /// Appends a field and keeps those that are there.
            pub fn add_header(&mut self, name: &str, value: &str) -> &mut Self {
                self.push(Edit::AddHeader(header(name, value)))
            }

            /// Removes all fields of that name.
            pub fn remove_header(&mut self, name: &str) -> &mut Self {
                self.push(Edit::RemoveHeader(name.to_owned()))
            }

            /// Sets a variable of the exchange, which later filters, the balancer, persistence and the
            /// log can ask for.
            pub fn set_var(&mut self, name: &str, value: &str) -> &mut Self {
                self.push(Edit::SetVar(header(name, value)))
            }

            /// Makes the changes of `more` after these.
            pub fn append(&mut self, more: Self) -> &mut Self {
                self.0.extend(more.0);
                self
            }

            fn push(&mut self, edit: Edit) -> &mut Self {
                self.0.push(edit);
                self
            }
        }
    };
}

common_edits!(RequestEdits);
common_edits!(ResponseEdits);

impl RequestEdits {
    /// The path without the query; must begin with `/`.
    pub fn set_path(&mut self, path: &str) -> &mut Self {
        self.push(Edit::SetPath(path.to_owned()))
    }

    /// The query without `?`; empty removes it.
    pub fn set_query(&mut self, query: &str) -> &mut Self {
        self.push(Edit::SetQuery(query.to_owned()))
    }

    pub fn set_method(&mut self, method: &str) -> &mut Self {
        self.push(Edit::SetMethod(method.to_owned()))
    }

    /// Removes every cookie of that name; the others stay byte for byte.
    pub fn remove_cookie(&mut self, name: &str) -> &mut Self {
        self.push(Edit::RemoveCookie(name.to_owned()))
    }

    /// Gives every cookie of that name another value; adds none where there is none.
    pub fn set_cookie_value(&mut self, name: &str, value: &str) -> &mut Self {
        self.push(Edit::SetCookieValue(header(name, value)))
    }
}

impl ResponseEdits {
    /// 200 to 599.
    pub fn set_status(&mut self, status: u16) -> &mut Self {
        self.push(Edit::SetStatus(status))
    }

    /// Removes the Set-Cookie fields of that cookie.
    pub fn remove_set_cookie(&mut self, name: &str) -> &mut Self {
        self.push(Edit::RemoveCookie(name.to_owned()))
    }

    /// Gives the Set-Cookie fields of that cookie another value and leaves their attributes; adds none
    /// where there is none.
    pub fn replace_set_cookie_value(&mut self, name: &str, value: &str) -> &mut Self {
        self.push(Edit::SetCookieValue(header(name, value)))
    }
}

fn header(name: &str, value: &str) -> Header {
    Header {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}
