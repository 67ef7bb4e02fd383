package auth

// handleFactors serves second factors and passkeys.
func (s *Service) handleFactors() error {
	return nil
}
