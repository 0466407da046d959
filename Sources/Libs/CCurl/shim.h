#include <curl/curl.h>

/* curl_easy_setopt and curl_easy_getinfo are variadic, which Swift can't call: one typed door each, for the functions
   that were bound on first use. */
typedef CURLcode (*stave_curl_setopt)(CURL *, CURLoption, ...);
typedef CURLcode (*stave_curl_getinfo)(CURL *, CURLINFO, ...);

static inline CURLcode stave_curl_set_long(stave_curl_setopt set, CURL *handle, CURLoption option, long value) {
  return set(handle, option, value);
}

static inline CURLcode stave_curl_set_offset(stave_curl_setopt set, CURL *handle, CURLoption option, curl_off_t value) {
  return set(handle, option, value);
}

static inline CURLcode stave_curl_set_pointer(stave_curl_setopt set, CURL *handle, CURLoption option, const void *value) {
  return set(handle, option, value);
}

static inline CURLcode stave_curl_get_long(stave_curl_getinfo get, CURL *handle, CURLINFO info, long *value) {
  return get(handle, info, value);
}

static inline CURLcode stave_curl_get_string(stave_curl_getinfo get, CURL *handle, CURLINFO info, char **value) {
  return get(handle, info, value);
}
