//! The list of all cases, and its expansion to tests.

/// One `#[tokio::test]` for each case of the contract, in a module for each port.
#[macro_export]
macro_rules! suite {
    ($backend:ty) => {
        $crate::__cases!([$crate::__tests] $backend);
    };
}

/// Every case, by port; handed to the macro that is named.
#[doc(hidden)]
#[macro_export]
macro_rules! __cases {
    ([$($then:tt)*] $argument:ty) => {
        $($then)*! { $argument;
            storage {
                it_has_a_name_and_answers_a_ping
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($backend:ty; $($port:ident { $($case:ident)* })*) => {
        $(mod $port {
            // names of the adapter's test file, such as the backend's
            #[allow(unused_imports)]
            use super::*;

            $(#[::tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let world = $crate::World::of::<$backend>().await;
                $crate::cases::$port::$case(&world).await;
            })*
        })*
    };
}

#[cfg(test)]
mod tests {
    macro_rules! names {
        ($unit:ty; $($port:ident { $($case:ident)* })*) => {
            [$((stringify!($port), include_str!(concat!("cases/", stringify!($port), ".rs")), &[$(stringify!($case)),*][..])),*]
        };
    }

    /// A case that is written but not listed would never run.
    #[test]
    fn every_case_is_listed() {
        for (port, source, listed) in crate::__cases!([names]()) {
            let mut written: Vec<&str> = source
                .lines()
                .filter_map(|line| line.strip_prefix("pub async fn "))
                .filter_map(|rest| rest.split_once("(w: &World)"))
                .map(|(name, _)| name)
                .collect();
            let mut listed = listed.to_vec();
            written.sort_unstable();
            listed.sort_unstable();
            assert_eq!(written, listed, "cases of {port}");
        }
    }
}
