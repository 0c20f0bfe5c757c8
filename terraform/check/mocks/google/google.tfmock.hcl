mock_resource "google_service_account" {
  defaults = {
    email  = "someone@example-log.iam.gserviceaccount.com"
    member = "serviceAccount:someone@example-log.iam.gserviceaccount.com"
  }
}
