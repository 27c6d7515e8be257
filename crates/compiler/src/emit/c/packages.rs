//! What makes a library easy to take up: a package for CMake's `find_package`, and a module for Zephyr.

use crate::emit::Files;

/// What the files say of a library.
#[derive(Clone, Copy, Debug)]
pub struct Package<'a> {
    /// Its name, and its target's: `NAME::NAME` in CMake.
    pub name: &'a str,
    /// The symbol that has Zephyr link it, less `CONFIG_`.
    pub symbol: &'a str,
    /// What it holds, in words.
    pub contents: &'a str,
    /// What it runs on, in words.
    pub platform: &'a str,
}

/// The files of the CMake package and of the Zephyr module, by their paths in the output folder.
pub fn packages(package: Package<'_>) -> Files {
    let Package { name: package, symbol, contents, platform } = package;
    let fill = |text: &str| {
        text.replace("@package@", package)
            .replace("@symbol@", symbol)
            .replace("@version@", env!("CARGO_PKG_VERSION"))
            .replace("@contents@", contents)
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
# It holds @contents@ for @platform@.
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
# The version is that of the Rasbora which made the library.
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
if(CONFIG_@symbol@)
  zephyr_library_import(@package@ \"${CMAKE_CURRENT_LIST_DIR}/../lib/lib@package@.a\")
  zephyr_include_directories(\"${CMAKE_CURRENT_LIST_DIR}/../include\")
endif()
";

const KCONFIG: &str = "\
config @symbol@
\tbool \"Rasbora: @contents@\"
\tdefault y
\thelp
\t  Links @contents@, compiled for @platform@.
";
