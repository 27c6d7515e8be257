//! What makes a library easy to take up: a package for CMake's `find_package`, and a module for Zephyr.

use super::{Files, Network};

/// The files of the CMake package and of the Zephyr module, by their paths in the output folder.
pub fn packages(package: &str, networks: &[Network<'_>], platform: &str) -> Files {
    let names: Vec<&str> = networks.iter().map(|network| network.name).collect();
    let fill = |text: &str| {
        text.replace("@package@", package)
            .replace("@PACKAGE@", &package.to_ascii_uppercase())
            .replace("@version@", env!("CARGO_PKG_VERSION"))
            .replace("@networks@", &names.join(", "))
            .replace("@platform@", platform)
            .into_bytes()
    };
    vec![
        (format!("lib/cmake/{package}/{package}-config.cmake").into(), fill(CONFIG)),
        (format!("lib/cmake/{package}/{package}-config-version.cmake").into(), fill(VERSION)),
        ("zephyr/module.yml".into(), fill(MODULE)),
        ("zephyr/CMakeLists.txt".into(), fill(ZEPHYR)),
        ("zephyr/Kconfig".into(), fill(KCONFIG)),
    ]
}

const CONFIG: &str = "\
# find_package(@package@) with this folder in CMAKE_PREFIX_PATH, then link @package@::@package@.
# It holds the networks @networks@ for @platform@.
get_filename_component(_rasbora_root \"${CMAKE_CURRENT_LIST_DIR}/../../..\" ABSOLUTE)
if(NOT TARGET @package@::@package@)
  add_library(@package@::@package@ STATIC IMPORTED)
  set_target_properties(@package@::@package@ PROPERTIES
    IMPORTED_LOCATION \"${_rasbora_root}/lib/lib@package@.a\"
    INTERFACE_INCLUDE_DIRECTORIES \"${_rasbora_root}/include\")
endif()
unset(_rasbora_root)
";

const VERSION: &str = "\
# The version is that of the Rasbora which compiled the networks.
set(PACKAGE_VERSION \"@version@\")
set(PACKAGE_VERSION_COMPATIBLE FALSE)
set(PACKAGE_VERSION_EXACT FALSE)
if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  set(PACKAGE_VERSION_EXACT TRUE)
endif()
";

const MODULE: &str = "\
# A Zephyr module: name this folder in ZEPHYR_EXTRA_MODULES, or in the west manifest.
name: @package@
build:
  cmake: zephyr
  kconfig: zephyr/Kconfig
";

const ZEPHYR: &str = "\
if(CONFIG_RASBORA_@PACKAGE@)
  zephyr_library_import(@package@ \"${CMAKE_CURRENT_LIST_DIR}/../lib/lib@package@.a\")
  zephyr_include_directories(\"${CMAKE_CURRENT_LIST_DIR}/../include\")
endif()
";

const KCONFIG: &str = "\
config RASBORA_@PACKAGE@
\tbool \"Networks compiled by Rasbora: @networks@\"
\tdefault y
\thelp
\t  Links the networks @networks@, compiled for @platform@.
";
