Redoc.init("openapi.json", {disableSearch: false, hideLogo: true, nativeScrollbars: true}, document.getElementById("redoc"));
